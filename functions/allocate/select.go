package allocate

import (
	"context"
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

// receipt is what an idempotency key keeps: the ledger has the answer itself.
type receipt struct {
	DecisionID uuid.UUID `json:"decision_id"`
}

// selectBudgets reads what is known, computes, and writes the decision, in three
// steps, so that no connection waits for the computation.
func (f *function) selectBudgets(ctx context.Context, in *selectInput) (*selectOutput, error) {
	who := auth.From(ctx)
	var (
		known  knowledge
		done   receipt
		repeat bool
	)
	err := pg.InTenant(ctx, f.db, who.Tenant, func(tx pgx.Tx) (err error) {
		if done, repeat, err = idempotency.Kept[receipt](ctx, tx); err != nil || repeat {
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
	req, news, err := known.request(&in.Body, seed)
	if err != nil {
		return nil, err
	}
	decision, sent, err := decide(&req)
	if err != nil {
		return nil, err
	}
	decision.AccountID, decision.RequestedBy = known.account, who.Who()
	done, err = idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (receipt, error) {
		if err := decisions.NewStore(tx).Put(ctx, decision); err != nil {
			return receipt{}, err
		}
		return receipt{decision.DecisionID}, store{tx}.observe(ctx, news)
	})
	if err != nil {
		return nil, err
	}
	if done.DecisionID != decision.DecisionID {
		return f.answered(ctx, done) // a twin was first
	}
	serve.Note(ctx, "decision", done.DecisionID, "ads", len(req.Arms))
	return &selectOutput{sent}, nil
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

// decide computes the split of req and packs it for the ledger. It also returns
// the answer's bytes.
func decide(req *sampler.Request) (decisions.Decision, []byte, error) {
	var d decisions.Decision
	id, at, err := decisions.Stamp()
	if err != nil {
		return d, nil, err
	}
	split := sampler.Allocate(*req)
	sent, err := write(id, req, &split)
	if err != nil {
		return d, nil, fmt.Errorf("decision %s: %w", id, err)
	}
	d.Summary = decisions.Summary{
		DecisionID: id, CreatedAt: at, Currency: req.Currency, ModelVersion: modelVersion, Architecture: decisions.Here,
		Seed: int64(req.Seed), NumAds: int32(len(req.Arms)), Total: req.Total, Unallocated: split.Unallocated,
	}
	var inputs, posterior []byte
	var inputsErr, posteriorErr error
	var packing sync.WaitGroup
	packing.Go(func() { d.Answer = decisions.Pack(sent) })
	packing.Go(func() {
		if inputs, inputsErr = encode(req); inputsErr == nil {
			d.Inputs = decisions.Pack(inputs)
		}
	})
	packing.Go(func() {
		if posterior, posteriorErr = believe(req.Currency, &split); posteriorErr == nil {
			d.Posterior = decisions.Pack(posterior)
		}
	})
	packing.Wait()
	for _, err := range []error{inputsErr, posteriorErr} {
		if err != nil {
			return d, nil, fmt.Errorf("decision %s: %w", id, err)
		}
	}
	return d, sent, nil
}
