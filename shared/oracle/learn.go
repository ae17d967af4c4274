package oracle

import (
	"context"
	"math"
	"time"
)

// Trained is what learning did.
type Trained struct {
	Version  string // of the model that was trained
	Champion string // of the model that serves now
	Promoted bool
	Verdict  string // why, in words
	Metrics  Metrics
	Compared Comparison // nothing where there was no champion to compare with

	model   Model // the champion
	learned Model
}

// material is what a model of an account is learned from, and what it is held
// against.
type material struct {
	account  string
	past     []Past
	basis    Basis
	version  string // of the champion, "" for none
	champion Model
	usable   bool // the champion can be read
	left     bool // the champion knows of a niche that the account has left
}

func (s Store) material(ctx context.Context, account, vectors string) (x material, err error) {
	x.account = account
	if x.basis, err = s.Basis(ctx, account); err != nil {
		return x, err
	}
	x.basis.Vectors = vectors
	if x.past, err = s.Past(ctx, account, vectors); err != nil {
		return x, err
	}
	if x.version, _, _, err = s.Champion(ctx, account); err != nil || x.version == "" {
		return x, err
	}
	x.champion, x.usable, err = s.Model(ctx, account, x.version)
	// Who does not take part in a niche any more is served by no model that knows of it.
	x.left = x.champion.Cells > 0 && x.basis.Cells == 0
	return x, err
}

// train learns a model and judges it against the champion. A refresh, which only
// brings the model up to more data of the same kind, serves unless it is worse; a
// challenger must be better.
func (x material) train(refresh bool) Trained {
	var champion *Model
	if x.usable && !x.left {
		champion = &x.champion
	}
	m, c := Contend(x.account, champion, x.past)
	m.Vectors = x.basis.Vectors
	t := Trained{Version: m.Version(), Metrics: m.Metrics, Compared: c, learned: m}
	t.Promoted, t.Verdict = c.Promote || refresh && !c.Worse, c.Verdict
	if x.left {
		t.Verdict = "the account does not take part in its niche any more"
	}
	if x.usable && x.version == m.Version() {
		t.Promoted, t.Verdict = true, "the same data: the champion's own version"
	}
	return t
}

// decide registers a model as what it was judged to be, unless somebody else has
// promoted another in the meantime: then that one serves.
func (s Store) decide(ctx context.Context, x material, t *Trained) error {
	if err := s.Lock(ctx, x.account); err != nil {
		return err
	}
	serving, _, _, err := s.Champion(ctx, x.account)
	if err != nil {
		return err
	}
	if serving != x.version && serving != t.Version {
		m, usable, err := s.Model(ctx, x.account, serving)
		if err != nil {
			return err
		}
		if usable {
			t.Promoted, t.Verdict, t.Champion, t.model = false, "another model was promoted while this one was trained", serving, m
			return nil
		}
	}
	t.Champion, t.model = x.version, x.champion
	if t.Promoted {
		t.Champion, t.model = t.Version, t.learned
	}
	return s.Register(ctx, t.learned, x.basis, t.Promoted, t.Verdict)
}

// standing is how an account's models stand.
type standing struct {
	account   string
	version   string // of the champion, "" for none
	then, now Basis  // of the newest model, and today
	age       time.Duration
	widen     float64
	patterns  []Pattern
}

// dress gives a model what is of today and not of its training.
func (is standing) dress(m *Model) {
	m.Totals, m.Currency, m.Widen, m.Patterns = is.now.totals(), is.now.Currency, is.widen, is.patterns
}

func (s Store) standing(ctx context.Context, account string) (is standing, err error) {
	if is.account, err = s.Resolve(ctx, account); err != nil {
		return is, err
	}
	if is.now, err = s.Basis(ctx, is.account); err != nil {
		return is, err
	}
	var at time.Time
	is.version, is.then, at, err = s.Champion(ctx, is.account)
	is.age = time.Since(at)
	if err != nil {
		return is, err
	}
	if is.widen, err = s.widening(ctx, is.account); err != nil {
		return is, err
	}
	is.patterns, err = s.known(ctx, is.account)
	return is, err
}

func (is standing) stale() bool { return is.version == "" || stale(is.then, is.now, is.age) }

// stale reports whether there is enough new since a model was trained: a tenth more
// or fewer ads, impressions or clicks, a fifth of value, DNA for ads that had none,
// another niche, a first prior of it or none any more, or anything at all in a week.
func stale(then, now Basis, age time.Duration) bool {
	moved := func(before, after int64, share float64) bool {
		return math.Abs(float64(after-before)) > share*float64(before)
	}
	if then.Niche != now.Niche || (then.Cells == 0) != (now.Cells == 0) {
		return true
	}
	for _, s := range [][2]Sums{{then.Own, now.Own}, {then.Others, now.Others}} {
		a, b := s[0], s[1]
		if moved(a.Ads, b.Ads, 0.1) || moved(a.Described, b.Described, 0.1) || moved(a.Impressions, b.Impressions, 0.1) ||
			moved(a.Clicks, b.Clicks, 0.1) || moved(a.Value, b.Value, 0.2) || age > 7*24*time.Hour && a != b {
			return true
		}
	}
	return false
}

// totals returns the sums as a model has them.
func (b Basis) totals() [2]totals {
	sum := func(s Sums) totals {
		scale := math.Pow10(s.Decimals)
		return totals{int(s.Ads), s.Impressions, s.Clicks, float64(s.Spend) / scale, float64(s.Value) / scale}
	}
	mine, all := sum(b.Own), sum(b.Others)
	all.Ads, all.Impressions, all.Clicks = all.Ads+mine.Ads, all.Impressions+mine.Impressions, all.Clicks+mine.Clicks
	all.Spend, all.Value = all.Spend+mine.Spend, all.Value+mine.Value
	return [2]totals{mine, all}
}
