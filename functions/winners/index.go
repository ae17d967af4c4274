package winners

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	memory "github.com/geminivideo/geminivideo/shared/winners"
)

type indexInput struct {
	Body struct {
		AdID        string   `json:"ad_id" minLength:"1" maxLength:"256"`
		AdData      openJSON `json:"ad_data" doc:"Open. Its creative_dna, or else all of it, is what searches compare."`
		CTR         float64  `json:"ctr" minimum:"0" maximum:"1" doc:"A rate: 0.02 is 2%."`
		ROAS        *float64 `json:"roas,omitempty" minimum:"0" doc:"Pipeline value over spend; the stored ad's where it is not given."`
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

// index remembers an ad on the caller's word. The embedder is asked between two
// transactions: nothing inside one may use the network.
func (f *function) index(ctx context.Context, in *indexInput) (*indexOutput, error) {
	m, err := f.described(in)
	if err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	var kept *indexOutput
	var below string
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		if kept, _, err = idempotency.Kept[*indexOutput](ctx, tx); err != nil || kept != nil {
			return err
		}
		store := memory.NewStore(tx)
		if below, err = judge(ctx, store, in, &m); err != nil || below != "" {
			return err
		}
		m.Vector, _, err = store.Vector(ctx, m.AdID, m.Model, m.Text)
		return err
	})
	if err != nil || kept != nil {
		return kept, err
	}
	if below == "" && m.Vector == nil {
		if m.Vector, err = f.document(ctx, m.Text); err != nil {
			return nil, err
		}
	}
	return idempotency.Run(ctx, f.db, tenant, func(tx pgx.Tx) (*indexOutput, error) {
		store := memory.NewStore(tx)
		out := &indexOutput{}
		b := &out.Body
		b.AdID, b.EmbeddingModel, b.Status, b.Reason = m.AdID, m.Model, "skipped", below
		if below == "" {
			outcome, err := store.Remember(ctx, m)
			if err != nil {
				return nil, err
			}
			b.Status = "indexed"
			if outcome == memory.Already {
				b.Status = "already_indexed"
			}
		}
		b.TotalInMemory, err = store.Count(ctx, m.Model)
		return out, err
	})
}

// described reads what is to be remembered out of a request.
func (f *function) described(in *indexInput) (memory.Memory, error) {
	data, err := creative.Parse(in.Body.AdData)
	if err != nil {
		return memory.Memory{}, fault.Field("body.ad_data", err.Error())
	}
	dna := data
	if section, ok := data["creative_dna"].(map[string]any); ok {
		dna = section
	}
	name, _ := data["name"].(string)
	m := memory.Memory{
		AdID: in.Body.AdID, Model: f.embedder.Model(), Text: memory.TextOf(dna, name),
		DNA: dna, Data: data, CTR: in.Body.CTR, Active: true,
	}
	if m.Text == "" {
		return m, fault.Field("body.ad_data", "must say something of the ad: its creative_dna")
	}
	return m, nil
}

// judge returns why the figures that were given are no winner's, or nothing. A
// stored ad lends its own account's bar, and its ROAS where none is given.
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

func (f *function) document(ctx context.Context, text string) (embed.Vector, error) {
	vectors, err := f.embedder.Documents(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	if len(vectors) != 1 {
		return nil, fault.Down("the embedding model answered in an unknown way", fmt.Errorf("%d vectors for one text", len(vectors)))
	}
	return vectors[0], nil
}
