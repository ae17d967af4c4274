package sim

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Contact is somebody in the CRM.
type Contact struct {
	ConvertedAt time.Time
	// Click is the visit that brought them, -1 where no page saw one.
	Click int
	// KnownBy is what the form kept of that visit: one of the Known constants.
	KnownBy string
}

// What a contact may be recognised by.
const (
	KnownNot         = ""
	KnownFBCLID      = "fbclid"
	KnownClickID     = "click_id"
	KnownFingerprint = "fingerprint"
)

// Stage is a step of a sale, by the name that every tenant has for it.
type Stage string

// The stages of a sale.
const (
	Lead        Stage = "lead"
	Appointment Stage = "appointment_scheduled"
	ShowUp      Stage = "show_up"
	Won         Stage = "closed_won"
	Lost        Stage = "closed_lost"
)

// Deal is a sale and all that happened to it.
type Deal struct {
	Name    string
	Contact int // in World.Contacts
	Moves   []Move
	// Amount is in units of Currency, "" where nobody has put one in yet.
	Amount, Currency string
	// MergedInto is the deal that this one turned out to be, -1 for none.
	MergedInto int
	// Deleted deals are in the CRM's recycle bin.
	Deleted bool
}

// Move is a deal's arrival in a stage.
type Move struct {
	Stage Stage
	At    time.Time
}

// Stage is where the deal stands now.
func (d Deal) Stage() Stage { return d.Moves[len(d.Moves)-1].Stage }

// step is what it takes to move on: the odds of an ordinary lead, and the usual
// days until it happens.
type step struct {
	stage Stage
	odds  float64
	days  float64
}

var steps = []step{{Appointment, 0.62, 1.5}, {ShowUp, 0.7, 3}, {Won, 0.45, 4}}

// sell invents what became of the leads up to now.
func (w *World) sell(c Config) {
	now := c.Now.UTC().Truncate(time.Millisecond)
	for i, click := range w.Clicks {
		if !click.lead {
			continue
		}
		r := stream(c.Seed, click.ID, 0)
		wait := 0.4 * around(r, 1.2) // hours from the click to the form
		if chance(r, 0.05) {
			wait = 24 * (7.5 + 6*r.Float64()) // came back when the click no longer counts
		}
		contact := Contact{ConvertedAt: click.At.Add(hours(wait)).Truncate(time.Millisecond), Click: i, KnownBy: known(r, click)}
		if contact.ConvertedAt.After(now) {
			continue
		}
		w.Contacts = append(w.Contacts, contact)
		w.Deals = append(w.Deals, newDeal(r, c, w.Ads[click.ad].DNA, contact, len(w.Contacts)-1, now))
	}
	w.walkIns(c, now)
	w.sort()
	w.mishaps()
}

func known(r *rand.Rand, click Click) string {
	switch p := r.Float64(); {
	case p < 0.08:
		return KnownNot
	case p < 0.20:
		return KnownClickID
	case p < 0.32 && click.Consent:
		return KnownFingerprint
	}
	return KnownFBCLID
}

func newDeal(r *rand.Rand, c Config, dna DNA, contact Contact, n int, now time.Time) Deal {
	odds := dna.effect().odds * around(r, 0.2)
	at := contact.ConvertedAt.Add(hours(0.1 * around(r, 1))).Truncate(time.Millisecond)
	if at.After(now) {
		at = now
	}
	deal := Deal{
		Name: pick(r, c.Business.Products), Contact: n, Currency: string(c.Currency), MergedInto: -1,
		Moves: []Move{{Lead, at}},
	}
	amount := fmt.Sprintf("%.2f", math.Round(c.Business.Deal*around(r, 0.3)/50)*50)
	if chance(r, 0.06) {
		deal.Currency = c.Business.Foreign
	}
	if chance(r, 0.4) {
		deal.Amount = amount // the salesman's hope
	}
	for _, s := range steps {
		wait := hours(24 * s.days * around(r, 0.5))
		next, later := s.stage, at.Add(wait).Truncate(time.Millisecond)
		if p := odds * s.odds / (1 + odds*s.odds); !chance(r, p) {
			next, later = Lost, later.Add(2*wait)
		}
		if !later.Before(now) {
			break
		}
		at = later
		deal.Moves = append(deal.Moves, Move{next, at})
		if next == Lost {
			break
		}
	}
	if deal.Stage() == Won {
		deal.Amount = amount
	}
	return deal
}

// walkIns are deals that no ad brought.
func (w *World) walkIns(c Config, now time.Time) {
	r := stream(c.Seed, "walk-ins", 0)
	for range len(w.Deals) / 20 {
		contact := Contact{ConvertedAt: now.Add(-hours(24 * (1 + 27*r.Float64()))).Truncate(time.Millisecond), Click: -1}
		w.Contacts = append(w.Contacts, contact)
		dna := DNA{HookType: "question", HookStrength: 0.55, VisualPacing: "medium", CTAType: "sign_up"}
		w.Deals = append(w.Deals, newDeal(r, c, dna, contact, len(w.Contacts)-1, now))
	}
}

// sort puts contacts and deals in the order of time.
func (w *World) sort() {
	order := make([]int, len(w.Contacts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return w.Contacts[a].ConvertedAt.Compare(w.Contacts[b].ConvertedAt) })
	sorted, place := make([]Contact, len(order)), make([]int, len(order))
	for to, from := range order {
		sorted[to], place[from] = w.Contacts[from], to
	}
	w.Contacts = sorted
	for i := range w.Deals {
		w.Deals[i].Contact = place[w.Deals[i].Contact]
	}
	slices.SortStableFunc(w.Deals, func(a, b Deal) int {
		return cmp.Or(a.Moves[0].At.Compare(b.Moves[0].At), cmp.Compare(a.Contact, b.Contact))
	})
}

// mishaps adds what every CRM has: a deal that was put in twice and merged, and
// one that was deleted.
func (w *World) mishaps() {
	open := func(d Deal) bool { return d.Stage() == Appointment || d.Stage() == ShowUp || d.Stage() == Lead }
	i := slices.IndexFunc(w.Deals, open)
	if i < 0 {
		return
	}
	twin := w.Deals[i]
	twin.Name += " (entered twice)"
	twin.Moves = twin.Moves[:1]
	twin.MergedInto = i
	w.Deals = append(w.Deals, twin)
	for j := i + 1; j < len(w.Deals)-1; j++ {
		if open(w.Deals[j]) {
			w.Deals[j].Deleted = true
			return
		}
	}
}
