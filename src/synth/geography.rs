//! Addresses: cities of the United States with their states, postal code prefixes and area codes, and made-up streets.
//!
//! What: places are public facts, drawn by rough population; suburbs, streets, numbers and units are composed. Why a
//! compact table: matching needs the structure of places (same postal code, same area), not their full list.
//! Not here: whose address it is (see `household`).

use super::random::{Rng, Weighted, draw};

/// City, state, first three digits of its postal codes, area code, weight (about 100,000 inhabitants of the region).
type City = (&'static str, &'static str, &'static str, &'static str, u64);

#[rustfmt::skip]
const CITIES: &[City] = &[
    ("New York", "NY", "100", "212", 60), ("New York", "NY", "101", "646", 14), ("Brooklyn", "NY", "112", "718", 27), ("Bronx", "NY", "104", "347", 14),
    ("Queens Village", "NY", "114", "718", 20), ("Staten Island", "NY", "103", "718", 5), ("Yonkers", "NY", "107", "914", 4), ("Buffalo", "NY", "142", "716", 5),
    ("Rochester", "NY", "146", "585", 4), ("Syracuse", "NY", "132", "315", 3), ("Albany", "NY", "122", "518", 3), ("Newark", "NJ", "071", "973", 6),
    ("Jersey City", "NJ", "073", "201", 5), ("Paterson", "NJ", "075", "973", 3), ("Trenton", "NJ", "086", "609", 2), ("Camden", "NJ", "081", "856", 2),
    ("Philadelphia", "PA", "191", "215", 16), ("Pittsburgh", "PA", "152", "412", 6), ("Allentown", "PA", "181", "610", 3), ("Erie", "PA", "165", "814", 2),
    ("Boston", "MA", "021", "617", 9), ("Worcester", "MA", "016", "508", 3), ("Springfield", "MA", "011", "413", 2), ("Providence", "RI", "029", "401", 3),
    ("Hartford", "CT", "061", "860", 3), ("Bridgeport", "CT", "066", "203", 3), ("New Haven", "CT", "065", "203", 2), ("Manchester", "NH", "031", "603", 2),
    ("Portland", "ME", "041", "207", 2), ("Burlington", "VT", "054", "802", 1), ("Wilmington", "DE", "198", "302", 2), ("Baltimore", "MD", "212", "410", 8),
    ("Silver Spring", "MD", "209", "301", 4), ("Washington", "DC", "200", "202", 7), ("Alexandria", "VA", "223", "703", 4), ("Virginia Beach", "VA", "234", "757", 5),
    ("Norfolk", "VA", "235", "757", 3), ("Richmond", "VA", "232", "804", 4), ("Roanoke", "VA", "240", "540", 2), ("Charleston", "WV", "253", "304", 1),
    ("Charlotte", "NC", "282", "704", 10), ("Raleigh", "NC", "276", "919", 7), ("Greensboro", "NC", "274", "336", 3), ("Durham", "NC", "277", "919", 3),
    ("Columbia", "SC", "292", "803", 3), ("Charleston", "SC", "294", "843", 3), ("Greenville", "SC", "296", "864", 3), ("Atlanta", "GA", "303", "404", 11),
    ("Augusta", "GA", "309", "706", 2), ("Savannah", "GA", "314", "912", 2), ("Jacksonville", "FL", "322", "904", 9), ("Miami", "FL", "331", "305", 14),
    ("Fort Lauderdale", "FL", "333", "954", 8), ("Tampa", "FL", "336", "813", 8), ("Orlando", "FL", "328", "407", 8), ("Tallahassee", "FL", "323", "850", 2),
    ("Birmingham", "AL", "352", "205", 4), ("Montgomery", "AL", "361", "334", 2), ("Mobile", "AL", "366", "251", 2), ("Jackson", "MS", "392", "601", 2),
    ("Nashville", "TN", "372", "615", 7), ("Memphis", "TN", "381", "901", 6), ("Knoxville", "TN", "379", "865", 3), ("Chattanooga", "TN", "374", "423", 2),
    ("Louisville", "KY", "402", "502", 6), ("Lexington", "KY", "405", "859", 3), ("Columbus", "OH", "432", "614", 9), ("Cleveland", "OH", "441", "216", 6),
    ("Cincinnati", "OH", "452", "513", 5), ("Toledo", "OH", "436", "419", 3), ("Akron", "OH", "443", "330", 3), ("Dayton", "OH", "454", "937", 2),
    ("Indianapolis", "IN", "462", "317", 9), ("Fort Wayne", "IN", "468", "260", 3), ("South Bend", "IN", "466", "574", 2), ("Detroit", "MI", "482", "313", 9),
    ("Grand Rapids", "MI", "495", "616", 3), ("Lansing", "MI", "489", "517", 2), ("Flint", "MI", "485", "810", 2), ("Milwaukee", "WI", "532", "414", 6),
    ("Madison", "WI", "537", "608", 3), ("Green Bay", "WI", "543", "920", 2), ("Chicago", "IL", "606", "312", 27), ("Aurora", "IL", "605", "630", 5),
    ("Rockford", "IL", "611", "815", 2), ("Peoria", "IL", "616", "309", 2), ("Springfield", "IL", "627", "217", 2), ("Minneapolis", "MN", "554", "612", 6),
    ("Saint Paul", "MN", "551", "651", 4), ("Duluth", "MN", "558", "218", 1), ("Des Moines", "IA", "503", "515", 3), ("Cedar Rapids", "IA", "524", "319", 2),
    ("Saint Louis", "MO", "631", "314", 6), ("Kansas City", "MO", "641", "816", 6), ("Springfield", "MO", "658", "417", 2), ("Omaha", "NE", "681", "402", 5),
    ("Lincoln", "NE", "685", "402", 3), ("Wichita", "KS", "672", "316", 4), ("Topeka", "KS", "666", "785", 1), ("Fargo", "ND", "581", "701", 1),
    ("Sioux Falls", "SD", "571", "605", 2), ("Oklahoma City", "OK", "731", "405", 7), ("Tulsa", "OK", "741", "918", 4), ("Little Rock", "AR", "722", "501", 3),
    ("New Orleans", "LA", "701", "504", 4), ("Baton Rouge", "LA", "708", "225", 3), ("Shreveport", "LA", "711", "318", 2), ("Houston", "TX", "770", "713", 23),
    ("Dallas", "TX", "752", "214", 13), ("San Antonio", "TX", "782", "210", 15), ("Austin", "TX", "787", "512", 10), ("Fort Worth", "TX", "761", "817", 9),
    ("El Paso", "TX", "799", "915", 7), ("Corpus Christi", "TX", "784", "361", 3), ("Laredo", "TX", "780", "956", 3), ("Lubbock", "TX", "794", "806", 2),
    ("Denver", "CO", "802", "303", 8), ("Colorado Springs", "CO", "809", "719", 5), ("Boulder", "CO", "803", "720", 2), ("Albuquerque", "NM", "871", "505", 6),
    ("Las Cruces", "NM", "880", "575", 1), ("Phoenix", "AZ", "850", "602", 16), ("Mesa", "AZ", "852", "480", 6), ("Tucson", "AZ", "857", "520", 5),
    ("Salt Lake City", "UT", "841", "801", 5), ("Provo", "UT", "846", "801", 2), ("Boise", "ID", "837", "208", 3), ("Billings", "MT", "591", "406", 1),
    ("Cheyenne", "WY", "820", "307", 1), ("Las Vegas", "NV", "891", "702", 8), ("Reno", "NV", "895", "775", 3), ("Los Angeles", "CA", "900", "213", 39),
    ("Long Beach", "CA", "908", "562", 5), ("Anaheim", "CA", "928", "714", 6), ("Riverside", "CA", "925", "951", 6), ("San Bernardino", "CA", "924", "909", 4),
    ("San Diego", "CA", "921", "619", 14), ("Fresno", "CA", "937", "559", 5), ("Bakersfield", "CA", "933", "661", 4), ("Sacramento", "CA", "958", "916", 6),
    ("Stockton", "CA", "952", "209", 3), ("San Francisco", "CA", "941", "415", 8), ("Oakland", "CA", "946", "510", 5), ("San Jose", "CA", "951", "408", 10),
    ("Portland", "OR", "972", "503", 7), ("Eugene", "OR", "974", "541", 2), ("Seattle", "WA", "981", "206", 8), ("Tacoma", "WA", "984", "253", 3),
    ("Spokane", "WA", "992", "509", 3), ("Anchorage", "AK", "995", "907", 3), ("Honolulu", "HI", "968", "808", 4),
];

const SUBURB_HEADS: &[&str] = &[
    "Amber", "Ash", "Bay", "Beaver", "Birch", "Black", "Brook", "Castle", "Cedar", "Clay", "Cold", "Crest", "Eagle",
    "East", "Elm", "Fair", "Forest", "Fox", "Glen", "Grand", "Green", "Hazel", "High", "Kings", "Lake", "Long",
    "Maple", "Mid", "New", "North", "Oak", "Park", "Plain", "Ridge", "River", "Rock", "Rose", "South", "Spring",
    "Stone", "Summer", "West", "White", "Wild", "Wood",
];
const SUBURB_TAILS: &[&str] = &[
    "boro", "bridge", "burg", "bury", "dale", "field", "ford", "haven", "hurst", "land", "mont", "port", "side", "ton",
    "view", "ville",
];

const STREETS: &[&str] = &[
    "Main",
    "Second",
    "Third",
    "Park",
    "Oak",
    "First",
    "Fourth",
    "Pine",
    "Maple",
    "Fifth",
    "Cedar",
    "Elm",
    "View",
    "Washington",
    "Lake",
    "Sixth",
    "Hill",
    "Walnut",
    "Ninth",
    "Spring",
    "North",
    "Ridge",
    "Lincoln",
    "Church",
    "Willow",
    "Mill",
    "Sunset",
    "Railroad",
    "Jackson",
    "Cherry",
    "West",
    "South",
    "Center",
    "Highland",
    "Johnson",
    "Forest",
    "River",
    "Meadow",
    "East",
    "Chestnut",
    "Valley",
    "Franklin",
    "College",
    "Jefferson",
    "Dogwood",
    "Hickory",
    "Madison",
    "Adams",
    "Sycamore",
    "Spruce",
    "Laurel",
    "Rose",
    "Creek",
    "Prospect",
    "Grove",
    "Union",
    "Birch",
    "Liberty",
    "Juniper",
    "Woodland",
    "Garden",
    "Summit",
    "Heritage",
    "Aspen",
    "Poplar",
    "Locust",
    "Magnolia",
    "Cypress",
    "Vine",
    "Cottonwood",
    "Lakeview",
    "Hillcrest",
    "Fairview",
    "Riverside",
    "Woodlawn",
    "Oakwood",
    "Brookside",
    "Glenwood",
    "Edgewood",
    "Westwood",
    "Country Club",
    "Old Mill",
    "Martin Luther King",
    "Saint Andrews",
    "Mount Vernon",
    "Deer Run",
    "Quail Hollow",
    "Stone Ridge",
    "Indian Creek",
    "Cherry Hill",
    "Rolling Meadows",
    "Pleasant Valley",
    "Orchard",
    "Harbor",
    "Lighthouse",
    "Canyon",
    "Mesa",
    "Sierra",
    "Del Mar",
    "Alameda",
    "San Pedro",
    "El Camino",
    "Monterey",
    "Hampton",
    "Essex",
    "Devon",
    "Kingston",
    "Lancaster",
    "Wellington",
    "Hawthorne",
    "Whitman",
    "Emerson",
    "Lafayette",
    "Pulaski",
    "Houston",
    "Austin",
    "Cleveland",
    "Roosevelt",
    "Kennedy",
    "Monroe",
    "7th",
    "8th",
    "10th",
    "11th",
    "12th",
    "14th",
    "15th",
    "18th",
    "21st",
    "22nd",
    "23rd",
    "34th",
    "42nd",
    "57th",
    "101st",
];

/// Street type as usually written, and in full (United States Postal Service Publication 28, appendix C1).
pub(super) const STREET_TYPES: &[((&str, &str), u32)] = &[
    (("St", "Street"), 28),
    (("Ave", "Avenue"), 20),
    (("Dr", "Drive"), 15),
    (("Rd", "Road"), 12),
    (("Ln", "Lane"), 8),
    (("Ct", "Court"), 6),
    (("Blvd", "Boulevard"), 3),
    (("Cir", "Circle"), 3),
    (("Pl", "Place"), 2),
    (("Ter", "Terrace"), 1),
    (("Trl", "Trail"), 1),
    (("Pkwy", "Parkway"), 1),
];

/// Where somebody lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) line: String,
    pub(super) city: String,
    pub(super) state: &'static str,
    pub(super) zip: String,
    pub(super) area_code: &'static str,
}

/// The places people live in.
#[derive(Debug)]
pub(super) struct Geography {
    cities: Weighted<&'static City>,
}

impl Geography {
    pub(super) fn new() -> Option<Self> {
        Weighted::new(CITIES.iter().map(|city| (city, city.4))).map(|cities| Self { cities })
    }

    pub(super) fn address(&self, rng: &mut Rng) -> Address {
        let &&(city, state, prefix, area_code, _) = self.cities.draw(rng);
        // A suburb shares the postal prefix and the area code of its city.
        let city = if rng.chance(420) { suburb(rng) } else { city.to_owned() };
        Address { line: line(rng), city, state, zip: format!("{prefix}{:02}", rng.index_skewed(100)), area_code }
    }
}

fn suburb(rng: &mut Rng) -> String {
    format!("{}{}", rng.pick(SUBURB_HEADS, "Oak"), rng.pick(SUBURB_TAILS, "ton"))
}

/// A first address line: street, with a unit in a quarter of cases; sometimes a box.
pub(super) fn line(rng: &mut Rng) -> String {
    match rng.below(100) {
        0..=1 => return format!("PO Box {}", rng.between(1, 9_999)),
        2 => return format!("{} County Road {}", rng.between(100, 29_999), rng.between(1, 700)),
        _ => {}
    }
    let street = STREETS[rng.index_skewed(STREETS.len())];
    let (kind, _) = draw(rng, STREET_TYPES, ("St", "Street"));
    let direction = if rng.chance(150) { rng.pick(&["N ", "S ", "E ", "W "], "") } else { "" };
    let mut line = format!("{} {direction}{street} {kind}", house_number(rng));
    if rng.chance(250) {
        line.push_str(&unit(rng));
    }
    line
}

/// Two to five digits, each count about as frequent as in street directories.
fn house_number(rng: &mut Rng) -> i32 {
    match rng.below(10) {
        0 => rng.between(1, 99),
        1..=4 => rng.between(100, 999),
        5..=8 => rng.between(1_000, 9_999),
        _ => rng.between(10_000, 29_999),
    }
}

fn unit(rng: &mut Rng) -> String {
    let designator = draw(rng, &[("Apt", 85), ("Unit", 10), ("Lot", 5)], "Apt");
    let letter = if rng.chance(300) { rng.pick(&["A", "B", "C", "D"], "A") } else { "" };
    format!(" {designator} {}{letter}", rng.between(1, 40))
}

/// Ten digits of the North American Numbering Plan: the exchange starts with 2 to 9 and is neither N11 nor 555.
pub(super) fn phone(rng: &mut Rng, area_code: &str) -> String {
    let exchange = loop {
        let drawn = rng.between(200, 999);
        if drawn % 100 != 11 && drawn != 555 {
            break drawn;
        }
    };
    format!("{area_code}{exchange}{:04}", rng.between(0, 9_999))
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn every_city_has_postal_prefix_and_area_code() {
        for (city, state, prefix, area, weight) in CITIES {
            assert!(prefix.len() == 3 && prefix.bytes().all(|b| b.is_ascii_digit()), "{city}");
            assert!(area.len() == 3 && area.as_bytes()[0] >= b'2' && &area[1..] != "11", "{city}");
            assert!(state.len() == 2 && state.bytes().all(|b| b.is_ascii_uppercase()) && *weight > 0, "{city}");
        }
    }

    #[test]
    fn addresses_and_phones_have_the_shape_of_real_ones() {
        let geography = Geography::new().unwrap();
        let mut rng = Rng::stream(5, Purpose::Household, 1);
        for _ in 0..2_000 {
            let address = geography.address(&mut rng);
            assert!(address.zip.len() == 5 && address.zip.bytes().all(|b| b.is_ascii_digit()));
            assert!(address.line.bytes().any(|b| b.is_ascii_digit()) && !address.city.is_empty());
            let phone = phone(&mut rng, address.area_code);
            assert!(phone.len() == 10 && phone.bytes().all(|b| b.is_ascii_digit()) && phone.as_bytes()[3] >= b'2');
            assert!(&phone[3..6] != "555" && &phone[4..6] != "11");
        }
    }
}
