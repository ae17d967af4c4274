package sim

// Business is what an advertiser sells, and how.
type Business struct {
	Themes []Theme
	// Hooks are first sentences, by hook type.
	Hooks map[string][]string
	// Products name the deals.
	Products []string
	Site     string
	// CTR is what an ordinary creative gets; CPM the price of a thousand
	// impressions, Budget an ad's usual day and Deal a usual sale, in units.
	CTR, CPM, Budget, Deal float64
	// Leads are expected per click of an ordinary creative; Seen is the share of
	// all clicks that the landing pages reported.
	Leads, Seen float64
	// Foreign is another currency that a few deals are in.
	Foreign string
}

// Theme is a campaign to be.
type Theme struct {
	Name string
	Ads  int
}

// Gym is a chain of clubs that sells coaching by the year.
var Gym = Business{
	Themes: []Theme{
		{"Northside | Personal coaching | Prospecting", 14},
		{"Northside | Corporate wellness | Prospecting", 12},
		{"Northside | Body reset 12 months | Lookalike", 13},
		{"Northside | Club openings | Local", 11},
		{"Northside | Retargeting | Visitors 30 days", 10},
	},
	Hooks: map[string][]string{
		"clickbait":      {"Trainers hate this 9-minute trick", "You will not believe what she ate", "Delete your gym app after watching this"},
		"transformation": {"Twelve months, 19 kilos, one coach", "This was me in January", "From the sofa to a half marathon"},
		"testimonial":    {"I had quit four gyms before this one", "My back pain is gone, says Dana, 47", "Our whole office trains here now"},
		"question":       {"Still paying for a gym you never visit?", "What would you do with your energy back?", "Why do most people quit by March?"},
		"offer":          {"First month free, this week only", "Bring a friend, train for half", "Join by Sunday and skip the fee"},
		"founder_story":  {"I opened this club after my heart attack", "We started in a garage with two barbells", "Why I coach at six every morning"},
		"statistic":      {"83% of our members still train after a year", "Two sessions a week cut sick days by a third", "41 minutes: that is all it takes"},
	},
	Products: []string{"Personal coaching, 12 months", "Corporate wellness, 20 seats", "Body reset programme", "Family coaching, 12 months"},
	Site:     "https://northside-fitness.example",
	CTR:      0.012, CPM: 24, Budget: 100, Deal: 14500, Leads: 0.0028, Seen: 0.034, Foreign: "CAD",
}

// Dental is a practice with two chairs.
var Dental = Business{
	Themes: []Theme{{"Harbour Dental | Implants", 5}, {"Harbour Dental | Aligners", 3}},
	Hooks: map[string][]string{
		"clickbait":      {"Your dentist will not tell you this"},
		"transformation": {"She hid her smile for ten years"},
		"testimonial":    {"I was afraid of dentists until I was 52"},
		"question":       {"One missing tooth: does it matter?"},
		"offer":          {"Free 3D scan in November"},
		"founder_story":  {"My father was my first patient"},
		"statistic":      {"98 of 100 implants last ten years"},
	},
	Products: []string{"Implant treatment", "Aligner treatment"},
	Site:     "https://harbour-dental.example",
	CTR:      0.011, CPM: 20, Budget: 50, Deal: 12000, Leads: 0.003, Seen: 0.06, Foreign: "CHF",
}
