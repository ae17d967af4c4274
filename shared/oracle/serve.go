package oracle

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
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
	// Vector is the DNA's embedding by the model Vectors, nil where there is none:
	// the stored winners nearest to it are looked up. A model that was trained with
	// another's vectors takes no notice of them.
	Vector  embed.Vector
	Vectors string
	// Near, where not nil, are the ads most like it as the caller knows them, in
	// place of a look-up.
	Near []Neighbour
}

// Serve predicts with the account's champion. An account that the tenant does not
// have is NotFound; a database that is down Unavailable.
func (o *Oracle) Serve(ctx context.Context, q Query) (Prediction, error) {
	var is standing
	var m Model
	var ready bool
	err := pg.InTenant(ctx, o.db, q.Tenant, func(tx pgx.Tx) (err error) {
		s := NewStore(tx)
		if is, err = s.standing(ctx, q.AccountID); err != nil {
			return err
		}
		if m, ready = o.parsed(key{q.Tenant, is.account, is.version}); !ready || is.stale() {
			ready = false
			return nil
		}
		return s.near(ctx, m, &q)
	})
	if err != nil {
		return Prediction{}, err
	}
	if !ready {
		if m, err = o.champion(ctx, q, is); err != nil {
			return Prediction{}, err
		}
		err = pg.InTenant(ctx, o.db, q.Tenant, func(tx pgx.Tx) error { return NewStore(tx).near(ctx, m, &q) })
		if err != nil {
			return Prediction{}, err
		}
	}
	is.dress(&m)
	return m.Predict(q.DNA, q.Near), nil
}

// champion returns the model that serves an account, trained now where it must be.
func (o *Oracle) champion(ctx context.Context, q Query, is standing) (Model, error) {
	if is.version != "" && !is.stale() {
		m, ok, err := o.load(ctx, q.Tenant, is.account, is.version)
		if err != nil || ok {
			return m, err
		}
	}
	// Who asks at the same time waits for the same training; one who gives up does
	// not take it from the others.
	flight := o.flight.DoChan(q.Tenant+" "+is.account, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trainingTime)
		defer cancel()
		t, err := o.Learn(ctx, q.Tenant, is.account, q.Vectors)
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
	if m, ok = o.parsed(k); ok {
		return m, true, nil
	}
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		m, ok, err = NewStore(tx).Model(ctx, account, version)
		return err
	})
	if err == nil && ok {
		o.cache(k, m)
	}
	return m, ok, err
}

func (o *Oracle) parsed(k key) (Model, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.models[k]
	if ok {
		o.models[k] = parsed{p.model, time.Now()}
	}
	return p.model, ok
}

func (o *Oracle) cache(k key, m Model) {
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

// Learn trains a model for an account on what the database holds now, and promotes
// it where it does better on held-out ads than the champion. vectors names the
// embedding model whose neighbours are looked at. Learning twice from the same
// data changes nothing.
func (o *Oracle) Learn(ctx context.Context, tenant, account, vectors string) (Trained, error) {
	var known material
	err := pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		known, err = NewStore(tx).material(ctx, account, vectors)
		return err
	})
	if err != nil {
		return Trained{}, err
	}
	learned := known.train(true) // between two transactions: it takes its time
	t := learned
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) error {
		t = learned // what an attempt that was undone has left
		return NewStore(tx).decide(ctx, known, &t)
	})
	if err == nil {
		o.cache(key{tenant, account, t.Champion}, t.model)
	}
	return t, err
}

// Challenge is a model that was trained to take the champion's place, and what was
// found of both. Nothing is written until Register is called.
type Challenge struct {
	Trained
	known material
}

// Challenge trains a challenger on what the database holds now.
func (o *Oracle) Challenge(ctx context.Context, tenant, account, vectors string) (*Challenge, error) {
	var known material
	err := pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		known, err = NewStore(tx).material(ctx, account, vectors)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Challenge{known.train(false), known}, nil
}

// Same reports whether the challenger has learned from what the champion has.
func (c *Challenge) Same() bool { return c.known.version == c.Version }

// Degraded reports whether the champion does worse on the newest ads than their
// plain average.
func (c *Challenge) Degraded() (bool, Gain) {
	if !c.known.usable {
		return false, Gain{}
	}
	return Degraded(c.known.champion, c.known.past)
}

// Register writes the challenger as what it was judged to be, in the caller's
// transaction; the same challenge registered again changes nothing. promote makes it
// the champion whatever the comparison says, with the reason why.
func (c *Challenge) Register(ctx context.Context, tx pgx.Tx, promote bool, why string) (Trained, error) {
	t := c.Trained
	if promote && !t.Promoted {
		t.Promoted, t.Verdict = true, why
	}
	err := NewStore(tx).decide(ctx, c.known, &t)
	return t, err
}

// Current returns the model that serves an account, trained now where there is none
// or where there is enough new to learn from.
func (o *Oracle) Current(ctx context.Context, tenant, account, vectors string) (m Model, err error) {
	var is standing
	err = pg.InTenant(ctx, o.db, tenant, func(tx pgx.Tx) (err error) {
		is, err = NewStore(tx).standing(ctx, account)
		return err
	})
	if err != nil {
		return Model{}, err
	}
	if m, err = o.champion(ctx, Query{Tenant: tenant, AccountID: account, Vectors: vectors}, is); err != nil {
		return Model{}, err
	}
	is.dress(&m)
	return m, nil
}
