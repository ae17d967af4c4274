package allocate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/decisions"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/sampler"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type selectOutput struct{ Body serve.Encoded[answer] }

// receipt is what is stored under an idempotency key: the ledger has the answer itself.
type receipt struct {
	DecisionID uuid.UUID `json:"decision_id"`
}

// selectBudgets reads what is known, computes, and writes the decision, in three
// steps, so that no transaction is open while the split is computed.
func (f *function) selectBudgets(ctx context.Context, in *selectInput) (*selectOutput, error) {
	who := auth.From(ctx)
	var (
		known  knowledge
		done   receipt
		repeat bool
	)
	err := pg.InTenant(ctx, f.db, who.Tenant, func(tx pgx.Tx) (err error) {
		if done, repeat, err = idempotency.Stored[receipt](ctx, tx); err != nil || repeat {
			return err
		}
		known, err = store{tx}.know(ctx, &in.Body)
		return err
	})
	if err != nil {
		return nil, err
	}
	if repeat {
		return f.answered(ctx, done)
	}
	seed := rand.Uint64() & maxWhole
	if in.Body.Seed != nil {
		seed = uint64(*in.Body.Seed)
	}
	req, added, err := known.request(&in.Body, seed)
	if err != nil {
		return nil, err
	}
	// The ledger's bytes are made beside the sampler, of whose work not all is
	// parallel, and while the database is busy.
	inputs := beside(func() (decisions.Packed, error) { return packed(encodeRequest(&req)) })
	split := sampler.Allocate(req)
	id, at, err := decisions.Stamp()
	if err != nil {
		return nil, err
	}
	posterior := beside(func() (decisions.Packed, error) { return packed(encodePosterior(req.Currency, &split)) })
	sent := beside(func() ([]byte, error) { return write(id, &req, &split) })
	answer := beside(func() (decisions.Packed, error) { return packed(sent()) })
	expected, gain := split.Account.Return, split.Account.Return-split.Account.ReturnBefore
	decision := decisions.Decision{Summary: decisions.Summary{
		DecisionID: id, CreatedAt: at, AccountID: known.account, Currency: req.Currency, RequestedBy: who.Who(),
		ModelVersion: modelVersion, Architecture: decisions.Here, Seed: int64(seed), NumAds: int32(len(req.Arms)),
		Total: req.Total, Unallocated: split.Unallocated, ExpectedReturn: &expected, ExpectedGain: &gain,
	}}
	done, err = idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (receipt, error) {
		if err := (store{tx}).record(ctx, known.past.buckets, added); err != nil {
			return receipt{}, err
		}
		var failed [3]error
		decision.Inputs, failed[0] = inputs()
		decision.Posterior, failed[1] = posterior()
		decision.Answer, failed[2] = answer()
		if err := errors.Join(failed[:]...); err != nil {
			return receipt{}, fmt.Errorf("decision %s: %w", id, err)
		}
		return receipt{id}, decisions.NewStore(tx).Put(ctx, decision)
	})
	if err != nil {
		return nil, err
	}
	if done.DecisionID != id {
		return f.answered(ctx, done) // a twin was first
	}
	serve.Note(ctx, "decision", id, "ads", len(req.Arms))
	body, err := sent()
	return &selectOutput{body}, err
}

// answered returns the answer that a decision gave before.
func (f *function) answered(ctx context.Context, done receipt) (*selectOutput, error) {
	decision, err := f.decision(ctx, done.DecisionID)
	if err != nil {
		return nil, err
	}
	sent, err := decision.Answer.Open()
	if err != nil {
		return nil, fmt.Errorf("answer of decision %s: %w", done.DecisionID, err)
	}
	return &selectOutput{sent}, nil
}

// beside starts a computation and returns the function that waits for it.
func beside[T any](compute func() (T, error)) func() (T, error) {
	wait := sync.OnceValues(compute)
	go func() { _, _ = wait() }()
	return wait
}

func packed(json []byte, err error) (decisions.Packed, error) {
	if err != nil {
		return nil, err
	}
	return decisions.Pack(json), nil
}
