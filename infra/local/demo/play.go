package demo

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
)

// Play plays the main job on a seeded system, step by step on out: a click, a
// deal that moves, the ad that it is credited to, the winner, the new budgets.
// Each step is checked; the first that fails ends the play with an error that
// names it. At the end the deal is lost again, so a play can be repeated.
func Play(ctx context.Context, sys System, out io.Writer) error {
	own, err := openOwner(ctx, sys.AdminDatabaseURL)
	if err != nil {
		return err
	}
	defer own.close()
	p := &play{
		sys: sys, owner: own, tenant: sys.Home, out: out, began: time.Now(),
		editor: caller{sys.BaseURL, sys.Home.EditorToken}, admin: caller{sys.BaseURL, sys.Home.AdminToken},
		other: caller{sys.BaseURL, sys.Other.AdminToken}, portal: sys.HubSpot.Portal(sys.Home.PortalID),
	}
	if p.portal == nil {
		return fmt.Errorf("portal %d is not connected to the fake HubSpot", sys.Home.PortalID)
	}
	fmt.Fprintf(out, "The main job, played on %s at %s\n", sys.BaseURL, p.began.UTC().Format("2006-01-02 15:04:05 UTC"))
	for i, s := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Today's budgets, before anything happens", p.before},
		{"Somebody clicks on an ad", p.click},
		{"A contact and a deal appear in HubSpot", p.appear},
		{"The deal moves: HubSpot sends a signed webhook", p.move},
		{"What that move is worth", p.revenue},
		{"Which click it was, and so which ad", p.attribution},
		{"The ad's pipeline value", p.pipeline},
		{"The deal is won", p.won},
		{"The ad is a winner, and in the winner memory", p.winner},
		{"A search by its creative DNA finds it", p.search},
		{"Two new creatives, judged before a cent is spent", p.predict},
		{"What the rejected one would have to change", p.fix},
		{"The plan for the other, from what has won", p.plan},
		{"A replacement for an ad that has been seen enough", p.replaced},
		{"HubSpot sends the same webhook again", p.again},
		{"Appointments turn out to be worth more", p.revalue},
		{"The new budgets", p.after},
		{"The decision, computed again", p.replay},
		{"An ad tires", p.tires},
		{"The sweep catches it: a cut, and a new creative", p.swept},
		{"The cut is carried out at Meta", p.executed},
		{"And taken back", p.undone},
		{"A learning cycle: its seven steps, and what each found", p.learned},
		{"Somebody fills in a lead form at an ad", p.lead},
		{"A new tenant connects a portal that never sends a webhook", p.connectsSilent},
		{"Its deals are read by the backfill", p.backfilled},
		{"Two changes whose webhooks are lost", p.repaired},
		{"What another advertiser sees of all this", p.stranger},
		{"The deal falls through after all", p.lost},
	} {
		if err := p.step(ctx, i+1, s.title, s.do); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
	}
	fmt.Fprintf(out, "\nThat is the main job: from a deal that moves in the CRM to a better budget, in %.1f s.\n", time.Since(p.began).Seconds())
	return nil
}

// play is a play's props: what one step leaves for the next.
type play struct {
	sys                  System
	owner                owner
	tenant               Tenant
	out                  io.Writer
	began                time.Time
	editor, admin, other caller
	portal               *fakehubspot.Portal

	now     time.Time // both divisions of the budget are made as of this moment
	ads     []adRow
	first   split
	second  split
	ad      adRow // the one that it is all about, as it was before
	clickID string
	fbclid  string
	contact int64
	deal    int64
	sent    []byte // the webhook of the deal's win
	dna     any
	tired   tired
	silent  silent
}

const (
	seedOfPlay = 20_260_131
	// wonUnits is what the deal is finally worth.
	wonUnits = 18_400
)

func (p *play) step(ctx context.Context, n int, title string, do func(context.Context) error) error {
	fmt.Fprintf(p.out, "\n%2d. %s\n", n, title)
	began := time.Now()
	if err := do(ctx); err != nil {
		return err
	}
	p.say("(%.2f s)", time.Since(began).Seconds())
	return nil
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(p.out, "    "+format+"\n", args...) }

func (p *play) money(units float64) string { return say(units, p.tenant) }

// sentence begins text as a sentence does, unless it begins with a name.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if strings.Contains(word, "_") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// want is an error where what was seen is not what was expected.
func want[T comparable](what string, seen, expected T) error {
	if seen == expected {
		return nil
	}
	return fmt.Errorf("%s: expected %v, saw %v", what, expected, seen)
}

// firstOf is the first error of some checks.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// sameMoney compares money by its minor units.
func (p *play) sameMoney(what string, seen, expected float64) error {
	if minor(seen, p.tenant) == minor(expected, p.tenant) {
		return nil
	}
	return fmt.Errorf("%s: expected %s, saw %s", what, p.money(expected), p.money(seen))
}

// await waits until everything that is on its way has arrived.
func (p *play) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := p.sys.Idle(ctx); err != nil {
		return fmt.Errorf("wait for the queue: %w", err)
	}
	return nil
}

// current returns the ad as it is now.
func (p *play) current(ctx context.Context) (adRow, error) {
	ads, err := p.editor.ads(ctx)
	if err != nil {
		return adRow{}, err
	}
	i := slices.IndexFunc(ads, func(a adRow) bool { return a.ID == p.ad.ID })
	if i < 0 {
		return adRow{}, fmt.Errorf("ad %s is not among the account's %d ads any more", p.ad.ID, len(ads))
	}
	return ads[i], nil
}

// entry returns the deal's row in the ledger.
func (p *play) entry(ctx context.Context) (entry, error) {
	all, err := p.owner.ledger(ctx, p.tenant)
	if err != nil {
		return entry{}, err
	}
	e, ok := all[p.deal]
	if !ok {
		return e, fmt.Errorf("deal %d is not in the ledger", p.deal)
	}
	return e, nil
}

// before divides the budget as things stand, and chooses the ad of the play: one
// that looks like nothing much, and that one good deal would make a winner.
func (p *play) before(ctx context.Context) (err error) {
	p.now = time.Now()
	if p.ads, err = p.editor.ads(ctx); err != nil {
		return err
	}
	if len(p.ads) == 0 {
		return fmt.Errorf("the account has no ads: was the system started with -demo=false?")
	}
	if p.first, err = p.editor.split(ctx, p.tenant, p.ads, p.now, seedOfPlay, ""); err != nil {
		return err
	}
	p.ad = p.ordinary()
	if p.ad.ID == "" {
		return fmt.Errorf("none of the account's %d ads is ordinary enough for the play", len(p.ads))
	}
	r := p.first.of(p.ad.ID)
	p.say("%s spends %s a day on %d active ads; decision %s divides it anew.",
		p.tenant.Name, p.money(p.first.TotalBudget), len(p.first.Recommendations), p.first.DecisionID)
	p.say("Keep an eye on ad %s, %q:", p.ad.ID, p.ad.Name)
	p.say("%s spent so far for a pipeline of %s (%.2fx); budget today %s, recommended %s (%+.1f%%).",
		p.money(p.ad.Spend), p.money(p.ad.Pipeline), p.ad.roas(), p.money(r.Current), p.money(r.Recommended), r.Change)
	return p.exact(p.first)
}

// ordinary chooses the ad of the play: one with a deal rather than without, and
// of those the one that has cost least, for there one deal more says most.
func (p *play) ordinary() (chosen adRow) {
	for _, ad := range p.ads {
		r := p.first.of(ad.ID)
		if r.AdID == "" || ad.DailyBudget == 0 || r.Change > 20 || !fits(ad.Spend, ad.Pipeline) {
			continue
		}
		sold, before := ad.Pipeline > 0, chosen.Pipeline > 0
		if chosen.ID == "" || sold && !before || sold == before && ad.Spend < chosen.Spend {
			chosen = ad
		}
	}
	return chosen
}

// fits reports whether an ad is ordinary by its spend and pipeline value, and
// the play's deal would make a winner of it.
func fits(spend, pipeline float64) bool {
	return spend >= 1000 && pipeline/spend <= 1.5 && (pipeline+wonUnits)/spend >= 3.5
}

// exact checks that a division gives away its total to the minor unit.
func (p *play) exact(s split) error {
	sum := minor(s.Unallocated, p.tenant)
	for _, r := range s.Recommendations {
		sum += minor(r.Recommended, p.tenant)
	}
	return p.sameMoney("the recommended budgets' sum", units(sum, p.tenant), s.TotalBudget)
}

// after divides the same total again, as of the same moment and by the same
// random numbers: all that is new is the deal.
func (p *play) after(ctx context.Context) (err error) {
	ads, err := p.editor.ads(ctx)
	if err != nil {
		return err
	}
	if p.second, err = p.editor.split(ctx, p.tenant, ads, p.now, seedOfPlay, ""); err != nil {
		return err
	}
	was, is := p.first.of(p.ad.ID), p.second.of(p.ad.ID)
	if minor(is.Recommended, p.tenant) <= minor(was.Recommended, p.tenant) {
		return fmt.Errorf("the budget of ad %s: expected more than %s, saw %s", p.ad.ID, p.money(was.Recommended), p.money(is.Recommended))
	}
	if err := p.exact(p.second); err != nil {
		return err
	}
	p.say("Decision %s divides the same %s, by the same seed:", p.second.DecisionID, p.money(p.second.TotalBudget))
	p.say("ad %s gets %s where it got %s before the deal (today: %s).", p.ad.ID, p.money(is.Recommended), p.money(was.Recommended), p.money(is.Current))
	p.say("%q (confidence %.2f)", is.Reason, is.Confidence)
	p.say("The sum over %d ads is exact. The five that get the most:", len(p.second.Recommendations))
	top := slices.Clone(p.second.Recommendations)
	slices.SortStableFunc(top, func(a, b recommendation) int {
		return int(minor(b.Recommended, p.tenant) - minor(a.Recommended, p.tenant))
	})
	for _, r := range top[:min(len(top), 5)] {
		p.say("  %s  %12s -> %12s (%+.1f%%)  %s", r.AdID, p.money(r.Current), p.money(r.Recommended), r.Change, r.Reason)
	}
	return nil
}
