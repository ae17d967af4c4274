package oracle

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Model is what was learned from an account's and its niche's ads. The zero Model
// is not one; Train(account, nil) is the global prior.
type Model struct {
	Columns   *columns
	CTR, ROAS expectation
	Earning   earning
	Totals    [2]totals // of the account, and of all ads
	Examples  []example
	Memory    memory
	Metrics   Metrics
	Print     string // the data's fingerprint
	// HalfLife is in how many days an older ad comes to differ twice as much from those
	// of today; 0 where age does not count.
	HalfLife float64
	// NicheCTR is the level of the niche's pooled prior; 0 where the account has none.
	NicheCTR float64
	Cells    int // of that prior
	// Since is when the audience's taste last changed: older ads say next to nothing. The
	// zero time where it has not.
	Since time.Time
	// SinceAds is how many ads there are since then.
	SinceAds int
	Vectors  string // the embedding model of the stored winners
	// Currency is what reasons name amounts in; they are plain numbers without one.
	Currency money.Currency
	// Widen is by how much the CTR's intervals are wider than the model says, by what came
	// of earlier predictions; 0 is 1.
	Widen float64
	// Patterns are what the learning cycle has found in the account, the strongest first.
	Patterns []Pattern
}

// totals of ads.
type totals struct {
	Ads                 int
	Impressions, Clicks int64
	Spend, Value        float64
}

// ad is a Past that can be learned from.
type ad struct {
	Past
	features []creative.Feature
	hash     uint64 // of its id
	fold     int
}

// maxAds is how many ads a model learns from; of more, as many are picked by a hash
// of their ids.
const maxAds = 8_000

// Train learns a model for an account, "" for one that is not known, from its own
// ads and those of its niche. The same ads in any order train the same model.
func Train(account string, past []Past) Model { return TrainFading(account, past, 0, time.Time{}) }

// TrainFading is Train where an ad's age counts: with every halfLife days that it is
// older than the newest, it may differ twice as much from the ads of today. Those from
// before since, where that is set, may differ in any way; what is learned from them is how
// much features matter, and how much of the taste is still the same.
func TrainFading(account string, past []Past, halfLife float64, since time.Time) Model {
	ads := prepared(past)
	cells := pooled(past)
	c := newColumns(account, ads, cells)
	m := Model{
		Columns: c, Print: Fingerprint(account, past, halfLife, since), HalfLife: halfLife, Since: since, NicheCTR: levelOf(cells),
		Cells: len(cells),
	}
	wider := fading(ads, halfLife, since)
	for _, a := range ads {
		m.Totals[1].add(a.Past)
		if a.AccountID == account {
			m.Totals[0].add(a.Past)
		}
		if !since.IsZero() && !a.Created.Before(since) {
			m.SinceAds++
		}
	}
	rows := make([][]entry, len(ads))
	for i, a := range ads {
		rows[i] = c.row(a.AccountID, a.features)
	}
	clicks := make([]observed, len(ads))
	for i, a := range ads {
		clicks[i] = observed{float64(a.Clicks), float64(a.Impressions), rows[i], wider[i]}
	}
	ctr := expect(ctrBelief, c, ads, clicks, c.beliefs(cells), since)
	m.CTR = ctr.expectation
	// What a click is worth is no taste: it is learned from the ads before the change, too.
	wider = fading(ads, halfLife, time.Time{})
	roas := expect(roasBelief, c, ads, worth(ads, rows, wider), nil, time.Time{})
	m.ROAS = roas.expectation
	m.Earning = earn(c, ads, rows, wider, ctr)
	m.Examples = exemplify(c, ads, ctr, roas)
	m.Memory = learnMemory(ads, ctr, roas)
	m.Metrics = measure(m, ads, ctr, roas)
	return m
}

func (t *totals) add(p Past) {
	t.Ads++
	t.Impressions, t.Clicks = t.Impressions+p.Impressions, t.Clicks+p.Clicks
	t.Spend, t.Value = t.Spend+p.Spend, t.Value+p.Value
}

// prepared returns the ads that can be learned from in one order, with nonsense
// made harmless.
func prepared(past []Past) []ad {
	ads := make([]ad, 0, len(past))
	for _, p := range past {
		p.Impressions = min(max(p.Impressions, 0), 1e12)
		p.Clicks = min(max(p.Clicks, 0), p.Impressions)
		p.Spend, p.Value = amount(p.Spend), amount(p.Value)
		if p.Impressions == 0 && p.Spend == 0 {
			continue
		}
		h := hash(p.AccountID + "\x00" + p.AdID)
		ads = append(ads, ad{Past: p, hash: h, fold: int(h % folds)})
	}
	slices.SortFunc(ads, func(a, b ad) int {
		return cmp.Or(cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.AdID, b.AdID), cmp.Compare(a.Impressions, b.Impressions),
			cmp.Compare(a.Clicks, b.Clicks), cmp.Compare(a.Spend, b.Spend), cmp.Compare(a.Value, b.Value))
	})
	if len(ads) > maxAds {
		picked := slices.Clone(ads)
		slices.SortStableFunc(picked, func(a, b ad) int { return cmp.Compare(a.hash, b.hash) })
		limit := picked[maxAds].hash
		ads = slices.DeleteFunc(ads, func(a ad) bool { return a.hash >= limit })
	}
	for i := range ads {
		ads[i].features = ads[i].DNA.Features()
	}
	return ads
}

// fading returns by how much more each ad may differ from those of today.
func fading(ads []ad, halfLife float64, since time.Time) []float64 {
	wider := make([]float64, len(ads))
	var newest time.Time
	for _, a := range ads {
		if a.Created.After(newest) {
			newest = a.Created
		}
	}
	for i, a := range ads {
		wider[i] = 1
		if halfLife > 0 && !a.Created.IsZero() {
			wider[i] = math.Exp2(min(newest.Sub(a.Created).Hours()/24/halfLife, mostFading))
		}
		if a.Created.Before(since) {
			wider[i] = math.Exp2(mostFading)
		}
	}
	return wider
}

// mostFading is the number of half-lives after which an ad fades no more.
const mostFading = 12

func amount(x float64) float64 {
	if math.IsNaN(x) || x < 0 {
		return 0
	}
	return min(x, 1e15)
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	x := h.Sum64() // FNV's low bits alone are weak
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// worth counts ads' value and spend in typical deals, so that an ad with one deal
// says as much as one deal can: value is rare and comes in whole deals.
// Spend whose deals could not have shown yet is no exposure.
func worth(ads []ad, rows [][]entry, wider []float64) []observed {
	size := dealSizeOf(ads)
	all := make([]observed, len(ads))
	for i, a := range ads {
		all[i] = observed{exposure: a.Spend * a.arrived() / size, row: rows[i], wider: wider[i]}
		if a.Spend > 0 {
			all[i].count = a.Value / size
		}
	}
	return all
}

// dealSizeOf is the size of a small typical deal, as far as ads' values show it.
func dealSizeOf(ads []ad) float64 {
	var values []float64
	spent := 0.0
	for _, a := range ads {
		spent += a.Spend
		if a.Spend > 0 && a.Value > 0 {
			values = append(values, a.Value)
		}
	}
	if len(values) == 0 {
		return max(spent, 1)
	}
	slices.Sort(values)
	return max(quantile(values, 0.25), 1e-6)
}

// vectorOf returns the ad's embedding where it has one of the right size.
func vectorOf(a ad) embed.Vector {
	if len(a.Vector) != embed.Dimensions {
		return nil
	}
	return a.Vector
}
