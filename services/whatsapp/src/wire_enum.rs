//! Enums of words on the wire: closed for us, open for Meta.

/// An enum whose variants are words Meta writes, with `Unknown(word)` for those it may write
/// tomorrow. Reading ignores the case; writing gives the documented spelling.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $other:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word this version does not know, as it came.
            Unknown(String),
        }

        impl $name {
            /// Reads the word, in any case.
            pub fn from_wire(word: &str) -> Self {
                $(if [$word $(, $other)*].iter().any(|known| word.eq_ignore_ascii_case(known)) { return Self::$variant; })+
                Self::Unknown(word.to_owned())
            }

            /// The documented spelling, or the unknown word.
            pub fn as_wire(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }
    };
}

pub(crate) use wire_enum;
