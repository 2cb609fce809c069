//! Compiles the FreeRTOS kernel for the simulator. On a microcontroller the firmware's own build
//! script does this, with its own FreeRTOSConfig.h: clock, priorities and heap are its business.

fn main() {
    println!("cargo:rerun-if-changed=simulator");
    if std::env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    let stock = std::env::var_os("CARGO_FEATURE_STOCK_PORT").is_some();
    let mut kernel = freertos_build::Builder::new();
    kernel.heap("heap_4.c"); // kernel objects only; Rust's allocator is the host's
    kernel.heap_size(8 * 1024 * 1024);
    kernel.minimal_stack_size(256);
    kernel.max_task_priorities(8);
    kernel.max_task_name_len(16);
    kernel.use_timer_task(7, 16, 512);
    kernel.freertos_config_dir("simulator/config");
    if stock {
        kernel.add_build_file("simulator/stock/stock.c");
    } else {
        kernel.freertos_port_base("simulator");
        kernel.freertos_port("port");
    }
    kernel.add_build_file("simulator/common/hooks.c");
    kernel
        .get_cc()
        .include("simulator/common")
        .flag("-fshort-enums") // as on ARM, and as the bindings of freertos-next assume
        .opt_level(2)
        .warnings(false);
    kernel.compile().expect("the FreeRTOS kernel compiles");
}
