//! How a message is read out of either parser: serde's visitors, and beside them a trace of where the reader stands.
//!
//! Enters: a serde deserializer at the start of a message. Leaves: `v`, the head's fields and the subject. The trace is
//! here because a parser without an allocator cannot carry words, let alone a path, in its own error.

use core::fmt::{self, Write};

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess, VariantAccess, Visitor,
};

use crate::decode::DecodeError;
use crate::limits::REASON_BYTES_MAX;
use crate::text::{Name, Text};

/// Version, head and subject of a message.
pub(crate) type Parts<H, T> = (u8, H, T);

/// The fields of a message beside `v` and what it is about.
pub(crate) trait Head: Default {
    /// Takes the value if the field is one of its own.
    fn take<'de, A: MapAccess<'de>>(&mut self, field: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// What a message is about: an enum whose variants are the names, and a place for names it does not know.
pub(crate) trait Subject: Sized {
    const WHAT: &'static str;
    fn known<'de, D: Deserializer<'de>>(body: D) -> Result<Self, D::Error>;
    fn unknown(name: Name) -> Self;
}

/// Where the reader stands, and what it found wrong there itself.
#[derive(Default)]
pub(crate) struct Trace {
    /// Field of the message.
    top: Name,
    /// The event or command, once its name is read.
    name: Name,
    /// Its field.
    field: Name,
    /// Serde's error is only the messenger when this is set.
    fault: Option<DecodeError>,
    /// The name is none that the enum knows; not an error.
    stranger: bool,
}

impl Trace {
    fn path(&self) -> Text<REASON_BYTES_MAX> {
        let mut path = Text::new();
        for part in [&self.top, &self.name, &self.field].into_iter().filter(|part| !part.is_empty()) {
            if !path.is_empty() {
                path.append(".");
            }
            path.append(part);
        }
        if path.is_empty() {
            path.append("message");
        }
        path
    }

    fn fail<E: Error>(&mut self, fault: DecodeError) -> E {
        self.fault = Some(fault);
        E::custom("see the trace")
    }

    pub(crate) fn explain(self, what: &'static str, error: impl fmt::Display) -> DecodeError {
        let path = self.path();
        self.fault.unwrap_or_else(|| {
            // An error may quote the payload: bounded before it is kept. Text takes what it has room for, never fails.
            let mut reason = Text::<REASON_BYTES_MAX>::new();
            let _ = write!(reason, "{error}");
            DecodeError::Field { what, path: path.as_str().into(), reason: reason.as_str().into() }
        })
    }
}

/// Reads the whole message.
pub(crate) struct MessageSeed<'t, H, T> {
    trace: &'t mut Trace,
    parts: core::marker::PhantomData<(H, T)>,
}

impl<'t, H, T> MessageSeed<'t, H, T> {
    pub(crate) fn new(trace: &'t mut Trace) -> Self {
        Self { trace, parts: core::marker::PhantomData }
    }
}

impl<'de, H: Head, T: Subject> DeserializeSeed<'de> for MessageSeed<'_, H, T> {
    type Value = Parts<H, T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, H: Head, T: Subject> Visitor<'de> for MessageSeed<'_, H, T> {
    type Value = Parts<H, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let trace = self.trace;
        let (mut v, mut head, mut subject) = (None, H::default(), None);
        while let Some(field) = map.next_key::<Name>()? {
            trace.top = field.clone();
            if field == "v" {
                let found = map.next_value::<u64>()?;
                match u8::try_from(found) {
                    Ok(crate::VERSION) => v = Some(crate::VERSION),
                    _ => {
                        return Err(trace.fail(DecodeError::Version { what: T::WHAT, found }));
                    }
                }
            } else if field == T::WHAT {
                let before = trace.name.clone();
                let read = map.next_value_seed(NamedSeed { trace: &mut *trace, subject: core::marker::PhantomData })?;
                if subject.is_some() {
                    let second = trace.name.clone();
                    return Err(trace.fail(DecodeError::TwoNames { what: T::WHAT, first: before, second }));
                }
                subject = Some(read);
            } else if !head.take(&field, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        trace.top = Name::new();
        match (v, subject) {
            (Some(v), Some(subject)) => Ok((v, head, subject)),
            (None, _) => Err(trace.fail(DecodeError::Missing { what: T::WHAT, field: "v" })),
            (_, None) => Err(trace.fail(DecodeError::Missing { what: T::WHAT, field: T::WHAT })),
        }
    }
}

/// Reads the map with exactly one key.
struct NamedSeed<'t, T> {
    trace: &'t mut Trace,
    subject: core::marker::PhantomData<T>,
}

impl<'de, T: Subject> DeserializeSeed<'de> for NamedSeed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Subject> Visitor<'de> for NamedSeed<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map with one key, the name of the {}", T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let trace = self.trace;
        let Some(name) = map.next_key::<Name>()? else {
            return Err(trace.fail(DecodeError::NoName { what: T::WHAT }));
        };
        trace.name = name.clone();
        trace.stranger = false;
        let subject = match T::known(Body { map: &mut map, trace: &mut *trace }) {
            Err(_) if trace.stranger => {
                map.next_value::<IgnoredAny>()?;
                T::unknown(name.clone())
            }
            read => read?,
        };
        match map.next_key::<Name>()? {
            None => Ok(subject),
            Some(second) => Err(trace.fail(DecodeError::TwoNames { what: T::WHAT, first: name, second })),
        }
    }
}

/// Presents name and fields to serde as an enum, and looks the name up among the enum's variants first.
struct Body<'a, A> {
    map: &'a mut A,
    trace: &'a mut Trace,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Body<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("only an enum is read here"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        if variants.contains(&self.trace.name.as_str()) {
            visitor.visit_enum(self)
        } else {
            self.trace.stranger = true;
            Err(A::Error::custom("an unknown name"))
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Body<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), A::Error> {
        let name: StrDeserializer<'_, A::Error> = self.trace.name.as_str().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Body<'_, A> {
    type Error = A::Error;

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(Fields { inner: visitor, trace: self.trace })
    }

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(A::Error::custom("every variant has fields"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, A::Error> {
        Err(A::Error::custom("every variant has named fields"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("every variant has named fields"))
    }
}

/// Reads the fields with serde's own visitor and notes each field's name on the way.
struct Fields<'t, I> {
    inner: I,
    trace: &'t mut Trace,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Fields<'_, V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of fields (empty if there are none)")
    }

    /// Null is read as an empty map: `{"button":null}` is a press.
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        let none: MapDeserializer<'_, _, E> = MapDeserializer::new(core::iter::empty::<(&str, &str)>());
        self.visit_map(none)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Fields { inner: map, trace: self.trace })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        // A name that was cut is none that a variant knows: theirs are shorter than the bound.
        let Some(field) = self.inner.next_key()? else {
            self.trace.field = Name::new();
            return Ok(None);
        };
        self.trace.field = field;
        let field: StrDeserializer<'_, A::Error> = self.trace.field.as_str().into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}
