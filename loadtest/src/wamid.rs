//! Message ids shaped like Meta's: `wamid.` and base64 of a record with the customer's digits, a direction and a hex key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use rand::rngs::StdRng;

/// Who sent the message, as the id tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    FromCustomer,
    FromBusiness,
}

/// Draws a new id. The layout is decoded from Meta's samples (whatsapp.md 0.1).
pub(crate) fn draw(rng: &mut StdRng, digits: &str, direction: Direction) -> String {
    let (mark, key_bytes) = match direction {
        Direction::FromCustomer => (0x12, 10),
        Direction::FromBusiness => (0x11, 9),
    };
    let key: Vec<u8> = (0..key_bytes).map(|_| rng.random()).collect();
    let key = hex::encode_upper(key);
    let mut record = vec![0x1c, 0x18, length(digits)];
    record.extend_from_slice(digits.as_bytes());
    record.extend_from_slice(&[0x15, 0x02, 0x00, mark, 0x18, length(&key)]);
    record.extend_from_slice(key.as_bytes());
    record.push(0);
    format!("wamid.{}", STANDARD.encode(record))
}

fn length(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn looks_like_metas_samples() {
        let mut rng = StdRng::seed_from_u64(1);
        let out = draw(&mut rng, "12125550123", Direction::FromBusiness);
        assert!(out.starts_with("wamid.HBgLMTIxMjU1NTAxMjMVAgARGB"), "{out}");
        let inbound = draw(&mut rng, "12125550123", Direction::FromCustomer);
        assert!(inbound.starts_with("wamid.HBgLMTIxMjU1NTAxMjMVAgASGB"), "{inbound}");
        assert_ne!(out, draw(&mut rng, "12125550123", Direction::FromBusiness));
    }
}
