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

// receipt is what an idempotency key keeps: the ledger has the answer itself.
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
	split := sampler.Allocate(req)
	id, at, err := decisions.Stamp()
	if err != nil {
		return nil, err
	}
	sent, err := write(id, &req, &split)
	if err != nil {
		return nil, fmt.Errorf("decision %s: %w", id, err)
	}
	summary := decisions.Summary{
		DecisionID: id, CreatedAt: at, AccountID: known.account, Currency: req.Currency, RequestedBy: who.Who(),
		ModelVersion: modelVersion, Architecture: decisions.Here, Seed: int64(seed), NumAds: int32(len(req.Arms)),
		Total: req.Total, Unallocated: split.Unallocated,
	}
	packed := pack(summary, &req, &split, sent)
	done, err = idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (receipt, error) {
		if err := (store{tx}).observe(ctx, news); err != nil {
			return receipt{}, err
		}
		decision, err := packed()
		if err != nil {
			return receipt{}, err
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

// pack compresses a decision for the ledger while the database is busy with the
// observations; the function that it returns waits for the end of it.
func pack(summary decisions.Summary, req *sampler.Request, split *sampler.Split, sent []byte) func() (decisions.Decision, error) {
	packed := sync.OnceValues(func() (decisions.Decision, error) {
		d := decisions.Decision{Summary: summary}
		var inputs, posterior error
		var parts sync.WaitGroup
		parts.Go(func() { d.Answer = decisions.Pack(sent) })
		parts.Go(func() {
			data, err := encode(req, about(req))
			d.Inputs, inputs = decisions.Pack(data), err
			data, err = believe(req.Currency, split)
			d.Posterior, posterior = decisions.Pack(data), err
		})
		parts.Wait()
		if err := errors.Join(inputs, posterior); err != nil {
			return d, fmt.Errorf("decision %s: %w", summary.DecisionID, err)
		}
		return d, nil
	})
	go func() { _, _ = packed() }()
	return packed
}

// about is how long the request is as JSON, nearly.
func about(req *sampler.Request) int {
	n := 4096 + 256*len(req.Account.Deals)
	for i := range req.Arms {
		n += 256 + 96*len(req.Arms[i].Days) + 128*len(req.Arms[i].Past)
	}
	return n
}
