package winners

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Vectors are those of one text, by the models that its tenant's memory is kept
// with. They are read in one transaction, completed outside of any, for that may
// use the network, and kept in another.
type Vectors struct {
	Text string

	models embed.Models
	tenant string
	want   []string // the first is what searches use, and must be there
	have   map[string]embed.Vector
}

// Vectors returns what is kept of an ad's text, so that the same content is not
// embedded twice.
func (s Store) Vectors(ctx context.Context, models embed.Models, tenant, adID, text string) (Vectors, error) {
	v := Vectors{Text: text, models: models, tenant: tenant, have: map[string]embed.Vector{}}
	m, err := s.Models(ctx, models.Configured())
	if err != nil {
		return v, err
	}
	v.want = v.usable(m)
	for _, model := range v.want {
		kept, found, err := s.Vector(ctx, adID, model, text)
		if err != nil {
			return v, err
		}
		if found {
			v.have[model] = kept
		}
	}
	return v, nil
}

// usable returns the models that something is to be kept with: those of m that
// this process can use, or else the configured one.
func (v Vectors) usable(m Models) []string {
	var all []string
	for _, model := range m.All() {
		if _, ok := v.models.Of(v.tenant, model); ok {
			all = append(all, model)
		}
	}
	if all == nil {
		return []string{v.models.Configured()}
	}
	return all
}

// Embed fills in what is missing. While the model changes, only the active one
// must answer: what lacks the other is embedded with it later.
func (v Vectors) Embed(ctx context.Context) error {
	for i, model := range v.want {
		if v.have[model] != nil {
			continue
		}
		e, ok := v.models.Of(v.tenant, model)
		if !ok {
			return fmt.Errorf("there is no embedding model %s here", model)
		}
		vectors, err := e.Documents(ctx, []string{v.Text})
		switch {
		case err == nil && len(vectors) == 1:
			v.have[model] = vectors[0]
		case err == nil:
			return fault.Down("the embedding model answered in an unknown way", fmt.Errorf("%d vectors for one text", len(vectors)))
		case i == 0:
			return err
		default:
			slog.WarnContext(ctx, "the model that is changed to does not embed: it is tried again later", "tenant", v.tenant, "model", model, "error", err.Error())
		}
	}
	return nil
}

// Model names the model that searches use.
func (v Vectors) Model() string { return v.want[0] }

// PutAll stores m with every model that there is a vector of. It is false,
// and stores nothing, where searches use another model by now than the vectors
// were made with.
func (s Store) PutAll(ctx context.Context, m Memory, v Vectors) (Outcome, bool, error) {
	held, err := s.Hold(ctx, v.models.Configured())
	if err != nil {
		return 0, false, err
	}
	first := v.usable(held)[0]
	if v.have[first] == nil {
		return 0, false, nil
	}
	m.Model, m.Vector = first, v.have[first]
	outcome, err := s.Put(ctx, m)
	for _, model := range held.All() {
		if err != nil {
			break
		}
		if model != first && v.have[model] != nil {
			m.Model, m.Vector = model, v.have[model]
			_, err = s.Put(ctx, m)
		}
	}
	return outcome, err == nil, err
}

// Known reports whether anything is stored of an ad.
func (s Store) Known(ctx context.Context, adID string) (known bool, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM gv.winners WHERE tenant_id = gv.tenant() AND ad_id = $1)`, adID).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", adID, err)
	}
	return known, nil
}
