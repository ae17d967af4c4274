package oracle

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Oracle serves predictions from the database: it trains a model for an account
// where there is none, or where there is enough new to learn from, and keeps the
// parsed ones. It is safe for concurrent use, and one process needs one.
//
// A trained model is a cache of the account's data: it is written by whoever
// needs it first, twins write the same, and no answer depends on who did.
type Oracle struct {
	db     *pg.DB
	flight singleflight.Group

	mu     sync.Mutex
	models map[key]parsed
}

type key struct{ tenant, account, version string }

// parsed is a parsed model and when it was last used.
type parsed struct {
	model Model
	used  time.Time
}

// maxModels is how many parsed models an instance keeps.
const maxModels = 100

// trainingTime is the most that training may take; two seconds are usual for the
// largest accounts.
const trainingTime = 45 * time.Second

// New returns an oracle on db.
func New(db *pg.DB) *Oracle { return &Oracle{db: db, models: map[key]parsed{}} }

// Query is what is to be judged.
type Query struct {
	Tenant string
	// AccountID is the account that the creative is for; "" takes the tenant's only
	// one, or what all its accounts have in common.
	AccountID string
	DNA       creative.DNA
	// Near are the remembered ads most like it, as the embedding model Vectors found
	// them; a model that was trained with another's vectors takes no notice of them.
	Near    []Neighbour
	Vectors string
}

// Serve predicts with the account's champion. An account that the tenant does not
// have is NotFound; a database that is down Unavailable.
func (o *Oracle) Serve(ctx context.Context, q Query) (Prediction, error) {
	var account, version string
	var now, then Basis
	var at time.Time
	err := pg.InTenant(ctx, o.db, q.Tenant, func(tx pgx.Tx) (err error) {
		s := NewStore(tx)
		if account, err = s.Resolve(ctx, q.AccountID); err != nil {
			return err
		}
		if now, err = s.Basis(ctx, account); err != nil {
			return err
		}
		version, then, at, err = s.Champion(ctx, account)
		return err
	})
	if err != nil {
		return Prediction{}, err
	}
	m, err := o.champion(ctx, q, account, version, stale(then, now, time.Since(at)))
	if err != nil {
		return Prediction{}, err
	}
	m.Totals = now.totals()
	near := q.Near
	if m.Vectors != q.Vectors {
		near = nil
	}
	return m.Predict(q.DNA, near), nil
}

// champion returns the model that serves an account, trained now where it must be.
func (o *Oracle) champion(ctx context.Context, q Query, account, version string, old bool) (Model, error) {
	if version != "" && !old {
		m, ok, err := o.load(ctx, q.Tenant, account, version)
		if err != nil || ok {
			return m, err
		}
	}
	// Who asks at the same time waits for the same training; one who gives up does
	// not take it from the others.
	flight := o.flight.DoChan(q.Tenant+" "+account, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trainingTime)
		defer cancel()
		t, err := o.Learn(ctx, q.Tenant, account, q.Vectors)
		return t.model, err
	})
	select {
	case <-ctx.Done():
		return Model{}, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return Model{}, r.Err
		}
		return r.Val.(Model), nil
	}
}

// load returns a registered model, parsed once.
func (o *Oracle) load(ctx context.Context, tenant, account, version string) (m Model, ok bool, err error) {
	k := key{tenant, account, version}
	o.mu.Lock()
	h, ok := o.models[k]
	if ok {
		o.models[k] = parsed{h.model, time.Now()}
	}
	o.mu.Unlock()
	if ok {
		return h.model, true, nil
	}
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		m, ok, err = NewStore(tx).Model(ctx, account, version)
		return err
	})
	if err == nil && ok {
		o.keep(k, m)
	}
	return m, ok, err
}

func (o *Oracle) keep(k key, m Model) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.models) >= maxModels {
		var oldest key
		first := time.Now().Add(time.Hour)
		for other, h := range o.models {
			if h.used.Before(first) {
				oldest, first = other, h.used
			}
		}
		delete(o.models, oldest)
	}
	o.models[k] = parsed{m, time.Now()}
}

// Trained is what learning did.
type Trained struct {
	Version  string // of the model that was trained
	Champion string // of the model that serves now
	Promoted bool
	Verdict  string // why, in words
	Metrics  Metrics
	Compared Comparison // nothing where there was no champion to compare with

	model Model // the champion
}

// fewAds is how many ads it takes to compare two models; below it, the one that
// knows more serves.
const fewAds = 10

// Learn trains a model for an account on what the database holds now, and promotes
// it where it does better on held-out ads than the champion. vectors names the
// embedding model whose neighbours are looked at. Learning twice from the same
// data changes nothing.
func (o *Oracle) Learn(ctx context.Context, tenant, account, vectors string) (Trained, error) {
	var past []Past
	var basis Basis
	var version string
	var champion Model
	var ok bool
	err := pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		s := NewStore(tx)
		if basis, err = s.Basis(ctx, account); err != nil {
			return err
		}
		if past, err = s.Past(ctx, account, vectors); err != nil {
			return err
		}
		if version, _, _, err = s.Champion(ctx, account); err != nil || version == "" {
			return err
		}
		champion, ok, err = s.Model(ctx, account, version)
		return err
	})
	if err != nil {
		return Trained{}, err
	}
	basis.Vectors = vectors
	m := Train(account, past)
	m.Vectors = vectors
	t := Trained{Version: m.Version(), Metrics: m.Metrics}
	t.Promoted, t.Verdict = true, "the first model"
	if ok {
		t.Compared = Compare(champion, m, past)
		t.Promoted, t.Verdict = judge(t.Compared, champion.Version() == m.Version())
	}
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error { return o.decide(ctx, tx, version, m, basis, &t) })
	if err != nil {
		return Trained{}, err
	}
	if t.Champion == m.Version() {
		o.keep(key{tenant, account, t.Champion}, m)
		t.model = m
		return t, nil
	}
	t.model, ok, err = o.load(ctx, tenant, account, t.Champion)
	if err == nil && !ok {
		t.model = m // the champion was retired in the meantime
	}
	return t, err
}

func judge(c Comparison, same bool) (promoted bool, verdict string) {
	switch {
	case same:
		return true, "the same data: the champion's own version"
	case c.Ads < fewAds:
		return true, fmt.Sprintf("only %d ads to compare two models on: the one that has seen more serves", c.Ads)
	case c.Better:
		return true, fmt.Sprintf("better on %d held-out ads: log likelihood %.4f an ad, the champion's %.4f", c.Ads, c.Challenger, c.Champion)
	}
	return false, fmt.Sprintf("not better on %d held-out ads: log likelihood %.4f an ad, the champion's %.4f", c.Ads, c.Challenger, c.Champion)
}

// decide registers a model as what it was judged to be, unless somebody else has
// promoted another in the meantime: then that one serves.
func (o *Oracle) decide(ctx context.Context, tx pgx.Tx, compared string, m Model, basis Basis, t *Trained) error {
	s, account := NewStore(tx), m.Columns.Account
	if err := s.Lock(ctx, account); err != nil {
		return err
	}
	serving, _, _, err := s.Champion(ctx, account)
	if err != nil {
		return err
	}
	if serving != compared && serving != m.Version() {
		t.Promoted, t.Verdict, t.Champion = false, "another model was promoted while this one was trained", serving
		return nil
	}
	t.Champion = serving
	if t.Promoted {
		t.Champion = m.Version()
	}
	return s.Register(ctx, m, basis, t.Promoted, t.Verdict)
}

// stale reports whether there is enough new since a model was trained: a tenth more
// or fewer ads, impressions or clicks, a fifth of value, DNA for ads that had none,
// another niche, or anything at all in a week.
func stale(then, now Basis, age time.Duration) bool {
	moved := func(before, after int64, share float64) bool {
		return math.Abs(float64(after-before)) > share*float64(before)
	}
	if then.Niche != now.Niche {
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
