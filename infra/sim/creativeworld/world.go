// Package creativeworld invents ad accounts of which it is known what each ad's true CTR
// and ROAS are, to hold the oracle against. It knows nothing of how the oracle
// thinks: features work together and bend, some mean nothing and some that matter
// are not shown to the oracle, a few ads go viral, delivery is uneven, and value comes in deals.
package creativeworld

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

// Taste is what an audience likes, and how the account's ads are run.
type Taste struct {
	Base    float64 // CTR of a usual ad
	Luck    float64 // standard deviation of what no feature explains, of a logarithm
	Viral   float64 // share of ads that go viral
	Matters float64 // how much the DNA matters: 1 is usual, 0 not at all
	Secret  float64 // how much matters that only the embedding shows
	Lonely  bool    // nobody looks for neighbours
	Lure    float64 // how the worth of a click goes with the click rate: -1 cancels it; clicks cost by the thousand impressions then
	Seen    float64 // impressions of a usual ad
	Uneven  float64 // standard deviation of their logarithm

	effect   map[string]float64 // of a feature's value, of the logarithm of the CTR
	together map[string]float64 // of two values
	strong   float64            // of a strong hook
	best     float64            // duration in seconds
	narrow   float64            // how fast other durations lose
	secret   embed.Vector
	worth    map[string]float64 // of a value, on the value per click
	deal     float64
	click    float64 // price of one
	close    float64 // deals per click
}

// kinds are the features that are shown to the oracle, with how often each value is chosen: never
// evenly.
var kinds = map[string][]string{
	"hook_type":     {"question", "testimonial", "offer", "transformation", "clickbait", "founder_story", "statistic", "humor"},
	"visual_pacing": {"fast", "medium", "slow"},
	"cta_type":      {"book_now", "learn_more", "sign_up", "send_message"},
	"emotion":       {"hope", "curiosity", "trust", "fear", "pride", "relief"},
	"visual_style":  {"ugc", "talking_head", "studio", "animation"},
	"music":         {"upbeat", "none", "calm", "dramatic"},
	"proof":         {"none", "testimonial", "numbers"},
	"language":      {"en", "de", "fr"}, // means nothing
	"tone":          {"casual", "expert", "warm", "serious", "urgent"},
	"weather":       {"sun", "rain"}, // no model knows the key
}

// order is kinds', which a map has not.
var order = []string{"hook_type", "visual_pacing", "cta_type", "emotion", "visual_style", "music", "proof", "language", "tone", "weather"}

// size is how much a feature matters.
var size = map[string]float64{
	"hook_type": 0.40, "visual_pacing": 0.22, "cta_type": 0.20, "emotion": 0.22, "visual_style": 0.20, "music": 0.08, "proof": 0.10,
	"weather": 0.06,
}

// NewTaste invents an audience.
func NewTaste(r *rand.Rand) *Taste {
	t := &Taste{
		Base: 0.012 * math.Exp(0.6*r.NormFloat64()), Luck: 0.15 + 0.12*r.Float64(), Viral: 0.02, Matters: 1,
		Seen: 9000, Uneven: 1.3,
		effect: map[string]float64{}, together: map[string]float64{}, worth: map[string]float64{},
		strong: 0.2 + 0.6*r.Float64(), best: 12 + 20*r.Float64(), narrow: 0.25 + 0.3*r.Float64(),
		deal: 500 * math.Exp(r.NormFloat64()), click: 1 + 2*r.Float64(), close: 0.006,
	}
	for _, kind := range order {
		for _, value := range kinds[kind] {
			t.effect[kind+value] = size[kind] * r.NormFloat64()
			t.worth[kind+value] = 0.6 * size[kind] * r.NormFloat64()
		}
	}
	for _, hook := range kinds["hook_type"] {
		for _, pacing := range kinds["visual_pacing"] {
			t.together[hook+pacing] = 0.14 * r.NormFloat64()
		}
		for _, style := range kinds["visual_style"] {
			t.together[hook+style] = 0.10 * r.NormFloat64()
		}
	}
	t.secret = direction(r)
	return t
}

// Like invents an audience of the same niche: it likes much of the same.
func (t *Taste) Like(r *rand.Rand) *Taste {
	other := NewTaste(r)
	other.Base, other.Seen, other.Uneven, other.Matters = t.Base*math.Exp(0.3*r.NormFloat64()), t.Seen, t.Uneven, t.Matters
	other.strong, other.best, other.narrow = t.strong, t.best, t.narrow
	blend := func(mine, theirs map[string]float64) {
		for key := range mine {
			mine[key] = 0.85*theirs[key] + 0.5*mine[key]
		}
	}
	blend(other.effect, t.effect)
	blend(other.together, t.together)
	return other
}

// Ad is an invented ad and the truth about it.
type Ad struct {
	oracle.Past
	CTR, ROAS float64 // what it would show if it ran for ever
	Earns     float64 // pipeline value of an impression, in the long run
	Expected  float64 // the CTR that its features and the secret give, without luck
}

// Ads invents n ads of an account.
func (t *Taste) Ads(r *rand.Rand, account string, n int) []Ad {
	ads := make([]Ad, n)
	for i := range ads {
		ads[i] = t.ad(r, account, fmt.Sprintf("%s-%04d", account, i))
	}
	return ads
}

func (t *Taste) ad(r *rand.Rand, account, id string) Ad {
	dna := map[string]any{}
	mood, worth := 0.0, 0.0
	for _, kind := range order {
		value := kinds[kind][zipf(r, len(kinds[kind]))]
		if r.Float64() < 0.06 { // nobody wrote it down
			mood += t.effect[kind+value]
			continue
		}
		dna[kind] = value
		mood, worth = mood+t.effect[kind+value], worth+t.worth[kind+value]
	}
	hook, _ := dna["hook_type"].(string)
	pacing, _ := dna["visual_pacing"].(string)
	style, _ := dna["visual_style"].(string)
	mood += t.together[hook+pacing] + t.together[hook+style]
	strength, length := r.Float64(), math.Exp(math.Log(6)+r.Float64()*math.Log(12))
	mood += t.strong * (1/(1+math.Exp(-10*(strength-0.5))) - 0.5)
	mood -= t.narrow * math.Pow(math.Log(length/t.best), 2)
	dna["hook_strength"], dna["duration_seconds"] = round(strength, 100), round(length, 1)
	dna["cuts_per_minute"], dna["human_face"] = float64(r.IntN(60)), r.Float64() < 0.6
	dna["note_"+fmt.Sprint(r.IntN(9))] = "unknown " + fmt.Sprint(r.IntN(1000))

	var vector embed.Vector
	mood *= t.Matters
	if t.Secret != 0 {
		vector = direction(r)
		mood += t.Secret * project(vector, t.secret)
	}
	a := Ad{Expected: rate(t.Base * math.Exp(mood))}
	luck := t.Luck * r.NormFloat64()
	if r.Float64() < t.Viral {
		luck += math.Log(3 + 5*r.Float64())
	}
	a.CTR = rate(t.Base * math.Exp(mood+luck))
	a.Past = oracle.Past{AdID: id, AccountID: account, DNA: parse(dna), Vector: vector}
	a.Impressions = int64(math.Max(30, t.Seen*math.Exp(t.Uneven*r.NormFloat64())))
	a.Clicks = binomial(r, a.Impressions, a.CTR)
	t.sell(r, &a, t.Matters*worth+t.Lure*(mood+luck))
	return a
}

// sell lets clicks cost and now and then become a deal of one of three stages.
func (t *Taste) sell(r *rand.Rand, a *Ad, worth float64) {
	close := rate(t.close * math.Exp(worth+0.4*r.NormFloat64()))
	price := t.click * math.Exp(0.15*r.NormFloat64())
	if t.Lure != 0 { // sold by the thousand impressions: a click of an ad that is clicked more costs less
		price = t.click * t.Base / a.CTR
	}
	a.ROAS = close * t.deal * meanStage / price
	a.Earns = a.CTR * close * t.deal * meanStage
	a.Spend = round(float64(a.Clicks)*price, 100)
	for range binomial(r, a.Clicks, close) {
		a.Value += round(t.deal*stages[r.IntN(len(stages))]*math.Exp(0.5*r.NormFloat64()-0.125), 100)
	}
}

// stages are what a deal may be worth, of a closed one.
var stages = []float64{0.15, 0.6, 1, 1}

const meanStage = (0.15 + 0.6 + 1 + 1) / 4

// Pasts are what is known of the ads.
func Pasts(ads []Ad) []oracle.Past {
	past := make([]oracle.Past, len(ads))
	for i, a := range ads {
		past[i] = a.Past
	}
	return past
}

func parse(dna map[string]any) creative.DNA {
	data, err := json.Marshal(dna)
	if err != nil {
		panic(err)
	}
	d, err := creative.Parse(data)
	if err != nil {
		panic(err)
	}
	return d
}

func rate(x float64) float64       { return math.Min(x, 0.95) }
func round(x, to float64) float64  { return math.Round(x*to) / to }
func zipf(r *rand.Rand, n int) int { return int(float64(n) * math.Pow(r.Float64(), 1.5)) }
func project(a, b embed.Vector) (s float64) {
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}

// direction is a vector of length one: one of a few themes with something of its
// own, as texts have.
func direction(r *rand.Rand) embed.Vector {
	v := make(embed.Vector, embed.Dimensions)
	theme, length := r.IntN(12), 0.0
	for i := range v {
		x := 0.3 * r.NormFloat64()
		if i%12 == theme {
			x += 1
		}
		v[i] = float32(x)
		length += x * x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(length))
	}
	return v
}

// binomial counts successes one by one or, of many, by the normal distribution.
func binomial(r *rand.Rand, n int64, p float64) int64 {
	if mean := float64(n) * p; mean > 200 {
		return max(0, min(n, int64(math.Round(mean+math.Sqrt(mean*(1-p))*r.NormFloat64()))))
	}
	var hits int64
	for at := int64(0); p > 0; hits++ { // the gaps between hits are geometric
		at += 1 + int64(math.Log(1-r.Float64())/math.Log1p(-p))
		if at > n {
			break
		}
	}
	return hits
}
