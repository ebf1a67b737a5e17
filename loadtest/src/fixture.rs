//! A small world for tests.

use crate::scenario::Scenario;

const TEXT: &str = r#"
name = "fixture"
seed = 7
[[business]]
id = "acme"
name = "Acme"
queue = [{ id = "sales", name = "Sales", keyword = "sales" }]
number = [
    { mode = "coexistence", rate_per_s = 20, customers = 5, weight = 1.0 },
    { mode = "api", rate_per_s = 80, customers = 5, weight = 1.0 },
]
agents = [{ count = 2, skills = ["sales"], capacity = 4 }]
[[business]]
id = "zeta"
name = "Zeta"
queue = [{ id = "help", name = "Help", keyword = "help" }]
number = [{ mode = "api", rate_per_s = 1000, customers = 5, weight = 1.0 }]
agents = [{ count = 1, skills = ["help"], capacity = 4 }]
"#;

pub(crate) fn scenario() -> Scenario {
    Scenario::parse(TEXT).expect("the fixture parses")
}
