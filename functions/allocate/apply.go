package allocate

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/decisions"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type applyInput struct {
	Body struct {
		DecisionID string   `json:"decision_id" format:"uuid"`
		AdIDs      []string `json:"ad_ids,omitempty" minItems:"1" maxItems:"10000" nullable:"true" doc:"Only these of its ads. Left out: all."`
	}
}

// Resolve checks what the types cannot say.
func (in *applyInput) Resolve(huma.Context) []error {
	var broken []error
	first := make(map[string]int, len(in.Body.AdIDs))
	for i, id := range in.Body.AdIDs {
		path := fmt.Sprintf("body.ad_ids[%d]", i)
		if !printable(id) {
			broken = append(broken, &huma.ErrorDetail{Location: path, Message: printableRule})
		}
		if j, twice := first[id]; twice {
			broken = append(broken, &huma.ErrorDetail{
				Location: path,
				Message:  fmt.Sprintf("must not appear twice; it is also ad_ids[%d]", j),
			})
		}
		first[id] = i
	}
	return broken
}

type applyOutput struct{ Body applied }

// applied says what became of each ad's recommendation. Money is in units.
type applied struct {
	DecisionID string      `json:"decision_id"`
	Currency   string      `json:"currency"`
	Queued     int         `json:"queued" doc:"Ads for which a change is open."`
	Ads        []appliedAd `json:"ads" nullable:"false" doc:"In the decision's order."`
}

type appliedAd struct {
	AdID        string  `json:"ad_id"`
	ChangeID    string  `json:"change_id,omitempty" doc:"The ads of a shared ad set share one. See GET /api/ads/changes."`
	Status      string  `json:"status" doc:"That of the change; or unchanged, excluded, or refused, where there is none."`
	Reason      string  `json:"reason,omitempty" doc:"Why nothing was queued, or why it is held."`
	Current     float64 `json:"current_budget" doc:"As the decision had it."`
	Recommended float64 `json:"recommended_budget"`
}

const (
	// maxApply holds 10,000 ids of the longest kind.
	maxApply = 4 << 20

	statusExcluded = "excluded"
	statusRefused  = string(changes.StatusRefused)
)

// apply queues what a decision recommended, through the same rules as any change.
func (f *function) apply(ctx context.Context, in *applyInput) (*applyOutput, error) {
	id, err := uuid.Parse(in.Body.DecisionID)
	if err != nil {
		return nil, fault.Field("body.decision_id", "must be the id of a decision")
	}
	d, err := f.decision(ctx, id)
	if err != nil {
		return nil, err
	}
	who := auth.From(ctx)
	serve.Note(ctx, "decision", d.DecisionID)
	body, err := idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (applied, error) {
		return applyAll(ctx, tx, d, who, in.Body.AdIDs)
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, who.Tenant, f.queue)
	return &applyOutput{body}, nil
}

func applyAll(ctx context.Context, tx pgx.Tx, d decisions.Decision, who auth.Identity, only []string) (applied, error) {
	out := applied{DecisionID: d.DecisionID.String(), Currency: string(d.Currency), Ads: []appliedAd{}}
	wanted, err := recommendations(d, only)
	if err != nil {
		return out, err
	}
	currencies, err := currenciesOf(ctx, tx, wanted)
	if err != nil {
		return out, err
	}
	var intents []changes.Intent
	place := map[string]int{}
	for i, r := range wanted {
		ad := appliedAd{AdID: r.AdID, Current: r.Current, Recommended: r.Recommended}
		minor, rangeErr := money.FromUnits(r.Recommended, d.Currency)
		switch c, known := currencies[r.AdID]; {
		case r.missing:
			ad.Status, ad.Reason = statusRefused, "the decision does not speak of this ad"
		case r.excluded:
			ad.Status, ad.Reason = statusExcluded, "the ad took no part in the decision"
		case rangeErr != nil:
			return out, fmt.Errorf("decision %s: the budget of ad %s: %w", d.DecisionID, r.AdID, rangeErr)
		case known && c != d.Currency:
			ad.Status, ad.Reason = statusRefused, fmt.Sprintf("the decision was made in %s, and the ad's account is in %s", d.Currency, c)
		default:
			target := int64(minor)
			place[r.AdID] = i
			intents = append(intents, changes.Intent{
				Key: "decision/" + d.DecisionID.String() + "/" + r.AdID, AdID: r.AdID, Target: &target, Reason: r.Reason,
				Source: changes.Allocate, By: who.Who(), Decision: &d.DecisionID,
			})
		}
		out.Ads = append(out.Ads, ad)
	}
	done, err := queue.NewStore(tx).Enqueue(ctx, who.Tenant, intents)
	if err != nil {
		return out, err
	}
	for _, e := range done {
		ad := &out.Ads[place[e.AdID]]
		ad.ChangeID, ad.Status, ad.Reason = e.ChangeID, string(e.Status), e.Reason
		if e.Status.Open() {
			out.Queued++
		}
	}
	return out, nil
}

// recommended is one ad of a decision.
type recommended struct {
	recommendation
	excluded, missing bool
}

// recommendations are those of a decision, or only some of them.
func recommendations(d decisions.Decision, only []string) ([]recommended, error) {
	sent, err := d.Answer.Open()
	if err != nil {
		return nil, fmt.Errorf("answer of decision %s: %w", d.DecisionID, err)
	}
	var a answer
	if err := json.Unmarshal(sent, &a); err != nil {
		return nil, fmt.Errorf("answer of decision %s: %w", d.DecisionID, err)
	}
	req, err := given(d)
	if err != nil {
		return nil, err
	}
	excluded := map[string]bool{}
	for i := range req.Arms {
		excluded[req.Arms[i].ID] = req.Arms[i].Excluded
	}
	wanted := make(map[string]bool, len(only))
	for _, id := range only {
		wanted[id] = true
	}
	var all []recommended
	for _, r := range a.Recommendations {
		if len(only) == 0 || wanted[r.AdID] {
			all = append(all, recommended{recommendation: r, excluded: excluded[r.AdID]})
			delete(wanted, r.AdID)
		}
	}
	for _, id := range only { // what is left of them the decision does not know
		if wanted[id] {
			all = append(all, recommended{recommendation: recommendation{AdID: id}, missing: true})
		}
	}
	return all, nil
}

// currenciesOf returns the currencies of the accounts of those ads that are stored.
func currenciesOf(ctx context.Context, tx pgx.Tx, all []recommended) (map[string]money.Currency, error) {
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.AdID
	}
	rows, _ := tx.Query(ctx, `
		SELECT b.ad_id, a.currency FROM gv.ads b JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  b.tenant_id = gv.tenant() AND b.ad_id = ANY (@ids::text[])`, pgx.StrictNamedArgs{"ids": ids})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		AdID     string
		Currency money.Currency
	}])
	if err != nil {
		return nil, fmt.Errorf("look up the ads' currencies: %w", err)
	}
	byAd := make(map[string]money.Currency, len(found))
	for _, f := range found {
		byAd[f.AdID] = f.Currency
	}
	return byAd, nil
}
