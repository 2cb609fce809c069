//! Compiles the shim for lwIP if the system has the library; without it lwIP is left out.
fn main() {
    println!("cargo::rerun-if-changed=shim/lwip.c");
    println!("cargo::rustc-check-cfg=cfg(lwip)");
    let Ok(library) = pkg_config::Config::new()
        .cargo_metadata(false)
        .probe("lwip")
    else {
        return;
    };
    cc::Build::new()
        .file("shim/lwip.c")
        .includes(&library.include_paths)
        .opt_level(2)
        // Callbacks have parameters they do not use.
        .flag_if_supported("-Wno-unused-parameter")
        .compile("lwip_shim");
    println!("cargo::rustc-link-lib=lwip");
    println!("cargo::rustc-cfg=lwip");
}
