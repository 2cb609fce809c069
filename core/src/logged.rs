//! What the stack writes into the log, with the feature `log`: rare events that somebody who looks for a
//! fault wants to know of, all with target `gannet`. What happens for each packet is counted instead.

/// `logged!(warn, "interface {}: ...", id.index())`, with a level of the crate `log`. Nothing without
/// the feature.
#[cfg(feature = "log")]
macro_rules! logged {
    ($level:ident, $text:literal $(, $arg:expr)* $(,)?) => {
        log::$level!(target: "gannet", $text $(, $arg)*)
    };
}

#[cfg(not(feature = "log"))]
macro_rules! logged {
    ($level:ident, $text:literal $(, $arg:expr)* $(,)?) => {{
        $(let _ = &$arg;)*
    }};
}

pub(crate) use logged;
