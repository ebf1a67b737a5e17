//! Every code of fact sheet 4.3 against what its retry column says.

use super::*;

fn class(code: i64) -> ErrorClass {
    classify(ErrorFacts { code: Some(code), http: Some(400), ..ErrorFacts::default() }).class
}

fn scope_and_first_ms(code: i64) -> (Scope, u64, Option<u8>) {
    match class(code) {
        ErrorClass::Backoff(backoff) => (backoff.scope, backoff.first_ms, backoff.attempts_max),
        other => panic!("{code}: {other:?} is no backoff"),
    }
}

#[test]
fn rows_are_in_order_and_do_not_overlap() {
    for pair in table::ROWS.windows(2) {
        assert!(pair[0].last < pair[1].first, "{} {}", pair[0].first, pair[1].first);
    }
    assert!(table::ROWS.iter().all(|row| row.first <= row.last));
}

#[test]
fn every_listed_code_has_its_class() {
    use ErrorClass::*;
    let expected: &[(ErrorClass, &[i64])] = &[
        (StopChannel, &[0, 190]),
        (NoPermission, &[3, 10, 200, 250, 299, 131_005]),
        (AccountLocked, &[368, 131_031, 139_200]),
        (CountryBlocked, &[130_497]),
        (NumberNotRegistered, &[33, 131_045, 133_000, 133_005, 133_006, 133_008, 133_010]),
        (PairBackoff, &[131_056]),
        (Throttled, &[130_429]),
        (SpamLimited, &[131_048]),
        (MisclassificationCap, &[131_064]),
        (MarketingHeld, &[131_049]),
        (MarketingOptedOut, &[131_050]),
        (RetryOnceInWindow, &[131_047]),
        (Undeliverable, &[131_026]),
        (PaymentNeeded, &[131_042, 131_044, 134_011]),
        (NeedsPhone, &[131_062]),
        (WrongApi, &[131_055, 131_063]),
        (TemplatePaused, &[132_015]),
        (TemplateDisabled, &[132_016]),
        (
            TemplateWrong,
            &[
                132_000, 132_001, 132_005, 132_007, 132_008, 132_012, 132_018, 134_100, 134_101,
                134_102,
            ],
        ),
        (IdentityChanged, &[137_000]),
        (AlreadyDone, &[2_593_107]),
        (InboundNotice, &[130_501, 131_052, 131_060]),
        (
            NoRetry,
            &[
                100, 803, 130_472, 131_008, 131_009, 131_020, 131_021, 131_030, 131_037, 131_041,
                131_051, 131_059, 131_065, 131_201, 131_215, 132_068, 135_000, 138_000, 138_025,
                138_038, 139_000, 139_004, 139_100, 139_103, 141_002, 147_001, 147_005, 2_388_012,
                2_388_019, 2_388_040, 2_388_047, 2_388_072, 2_388_073, 2_388_091, 2_388_093,
                2_388_103, 2_388_293, 2_388_299, 2_593_079, 2_593_085, 2_593_108, 2_593_109,
            ],
        ),
    ];
    for (expected, codes) in expected {
        for code in *codes {
            assert_eq!(class(*code), *expected, "{code}");
        }
    }
}

#[test]
fn every_code_that_waits_says_what_waits_and_how_long() {
    const MINUTE: u64 = 60_000;
    for (code, expected) in [
        (1, (Scope::Message, 1000, Some(3))),
        (2, (Scope::Message, 2000, None)),
        (4, (Scope::App, MINUTE, None)),
        (80_007, (Scope::Account, MINUTE, None)),
        (131_000, (Scope::Message, 1000, Some(3))),
        (131_016, (Scope::Message, 2000, None)),
        (131_053, (Scope::Message, 5000, Some(3))),
        (131_057, (Scope::Number, MINUTE, None)),
        (132_069, (Scope::Message, 60 * MINUTE, None)),
        (133_004, (Scope::Number, MINUTE, None)),
        (133_009, (Scope::Number, MINUTE, None)),
        (133_015, (Scope::Number, 5 * MINUTE, None)),
        (133_016, (Scope::Number, 60 * MINUTE, None)),
        (2_494_100, (Scope::Number, MINUTE, None)),
    ] {
        assert_eq!(scope_and_first_ms(code), expected, "{code}");
    }
}

#[test]
fn subcodes_narrow() {
    let not_found =
        ErrorFacts { code: Some(100), subcode: Some(33), http: Some(400), is_transient: false };
    assert_eq!(classify(not_found).class, ErrorClass::NoPermission);
    for subcode in [463, 467] {
        let expired = ErrorFacts {
            code: Some(190),
            subcode: Some(subcode),
            http: Some(401),
            is_transient: false,
        };
        assert_eq!(classify(expired).class, ErrorClass::StopChannel);
    }
}

#[test]
fn unknown_codes_are_judged_by_what_else_is_known() {
    let of = |http, is_transient| {
        classify(ErrorFacts { code: Some(777_777), subcode: None, http, is_transient }).class
    };
    assert_eq!(of(Some(400), false), ErrorClass::NoRetry);
    assert_eq!(of(None, false), ErrorClass::NoRetry);
    assert_eq!(of(Some(401), false), ErrorClass::StopChannel);
    assert_eq!(of(Some(403), false), ErrorClass::NoRetry);
    assert_eq!(of(Some(429), false), ErrorClass::Throttled);
    for (http, is_transient) in
        [(Some(500), false), (Some(503), false), (Some(400), true), (None, true)]
    {
        assert!(
            matches!(of(http, is_transient), ErrorClass::Backoff(_)),
            "{http:?} {is_transient}"
        );
    }
    assert_eq!(classify(ErrorFacts::default()).class, ErrorClass::NoRetry);
}

#[test]
fn faults_of_the_way_have_a_class() {
    assert!(matches!(classify_transport(TransportFault::NotSent).class, ErrorClass::Backoff(_)));
    assert_eq!(classify_transport(TransportFault::Unknown).class, ErrorClass::Reconcile);
}

#[test]
fn pair_backoff_is_a_power_of_four_with_an_end() {
    assert_eq!([0, 1, 2, 3].map(pair_backoff_ms), [1000, 4000, 16_000, 64_000]);
    assert_eq!(pair_backoff_ms(8), pair_backoff_ms(u32::MAX));
}

#[test]
fn agents_are_told_something() {
    for row in table::ROWS {
        let told = table::of_code(row.first).unwrap().for_agent;
        assert!(told.ends_with('.') && told.len() < 100, "{}: {told}", row.first);
    }
}
