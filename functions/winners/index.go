package winners

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	memory "github.com/geminivideo/geminivideo/shared/winners"
)

type indexInput struct {
	Body struct {
		AdID        string   `json:"ad_id" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"text that is not blank"`
		AdData      openJSON `json:"ad_data" doc:"Open. Its creative_dna, or else all of it, is what searches compare."`
		CTR         float64  `json:"ctr" minimum:"0" maximum:"1" doc:"A rate: 0.02 is 2%."`
		ROAS        *float64 `json:"roas,omitempty" minimum:"0" doc:"Pipeline value over spend; where it is not given, the stored ad's, or what is stored of it."`
		Conversions *int64   `json:"conversions,omitempty" minimum:"0"`
		Spend       *float64 `json:"spend,omitempty" minimum:"0" doc:"In units of the account's currency."`
	}
}

type indexOutput struct {
	Body struct {
		Status         string `json:"status" enum:"indexed,already_indexed,skipped"`
		AdID           string `json:"ad_id"`
		TotalInMemory  int64  `json:"total_in_memory"`
		Reason         string `json:"reason,omitempty"`
		EmbeddingModel string `json:"embedding_model"`
	}
}

// index stores an ad in the winner memory on the caller's word. The embedder is asked between two
// transactions: nothing inside one may use the network.
func (f *function) index(ctx context.Context, in *indexInput) (*indexOutput, error) {
	m, err := f.described(in)
	if err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	for range maxReads {
		kept, v, below, err := f.read(ctx, tenant, in, &m)
		if err != nil || kept != nil {
			return kept, err
		}
		if below == "" {
			if err := v.Embed(ctx); err != nil {
				return nil, err
			}
		}
		out, err := f.store(ctx, tenant, m, v, below)
		if err == nil || !errors.Is(err, errChanged) {
			return out, err
		}
	}
	return nil, fault.Down("the embedding model is being changed; try again in a moment", errChanged)
}

// maxReads bounds how often an ad is embedded for one request: each further time
// because searches have come to use another model meanwhile.
const maxReads = 3

var errChanged = errors.New("searches use another embedding model by now")

// read returns what an earlier request of the same key answered, or else the
// vectors that are stored of the ad, and why it is no winner.
func (f *function) read(ctx context.Context, tenant string, in *indexInput, m *memory.Memory) (kept *indexOutput, v memory.Vectors, below string, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		if kept, _, err = idempotency.Stored[*indexOutput](ctx, tx); err != nil || kept != nil {
			return err
		}
		store := memory.NewStore(tx)
		if below, err = judge(ctx, store, in, m); err != nil {
			return err
		}
		v, err = store.Vectors(ctx, f.models, tenant, m.AdID, m.Text)
		return err
	})
	return kept, v, below, err
}

// store puts the ad into the winner memory, and answers.
func (f *function) store(ctx context.Context, tenant string, m memory.Memory, v memory.Vectors, below string) (*indexOutput, error) {
	return idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (*indexOutput, error) {
		store := memory.NewStore(tx)
		out := &indexOutput{}
		b := &out.Body
		b.AdID, b.EmbeddingModel, b.Status, b.Reason = m.AdID, v.Model(), "skipped", below
		if below == "" {
			outcome, done, err := store.PutAll(ctx, m, v)
			switch {
			case err != nil:
				return nil, err
			case !done:
				return nil, errChanged
			}
			b.Status = "indexed"
			if outcome == memory.Already {
				b.Status = "already_indexed"
			}
		}
		var err error
		b.TotalInMemory, err = store.Count(ctx, v.Model())
		return out, err
	})
}

// described reads the winner to be stored out of a request.
func (f *function) described(in *indexInput) (memory.Memory, error) {
	data, err := creative.Parse(in.Body.AdData)
	if err != nil {
		return memory.Memory{}, fault.Field("body.ad_data"+creative.Offender(in.Body.AdData, err), err.Error())
	}
	dna := data
	switch said := data["creative_dna"].(type) {
	case nil:
	case map[string]any:
		dna = said
	default:
		return memory.Memory{}, fault.Field("body.ad_data.creative_dna", creative.ErrNotObject.Error())
	}
	name, _ := data["name"].(string)
	m := memory.Memory{
		AdID: in.Body.AdID, Text: memory.TextOf(dna, name),
		DNA: dna, Data: data, CTR: in.Body.CTR, Active: true,
	}
	if m.Text == "" {
		return m, fault.Field("body.ad_data", "must say something of the ad: its creative_dna")
	}
	return m, nil
}

// judge returns why the figures that were given are no winner's, or nothing. A
// stored ad lends its own account's bar, and its ROAS where none is given; of an ad
// that is not stored, the stored ROAS stays.
func judge(ctx context.Context, store memory.Store, in *indexInput, m *memory.Memory) (string, error) {
	minROAS, minSpend := ads.WinnerROAS, float64(ads.WinnerSpend)
	ad, err := store.Ad(ctx, m.AdID)
	switch {
	case err == nil:
		m.ROAS = ad.ROAS
		if ad.WinnerROAS != nil {
			minROAS = *ad.WinnerROAS
		}
		if ad.WinnerSpend != nil {
			minSpend = *ad.WinnerSpend
		}
	case fault.Of(err) != fault.NotFound:
		return "", err
	default:
		if m.ROAS, err = store.ROAS(ctx, m.AdID); err != nil {
			return "", err
		}
	}
	if in.Body.ROAS != nil {
		m.ROAS = *in.Body.ROAS
		if m.ROAS <= minROAS {
			return fmt.Sprintf("its ROAS is not above %g, the winner's bar", minROAS), nil
		}
	}
	if in.Body.Spend != nil && *in.Body.Spend < minSpend {
		return fmt.Sprintf("less than %g has been spent on it: too little to call it a winner", minSpend), nil
	}
	return "", nil
}
