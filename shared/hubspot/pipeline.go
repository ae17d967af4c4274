package hubspot

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Pipeline is one of a portal's ways of selling, with its stages in order.
type Pipeline struct {
	ID, Label string
	Stages    []Stage
}

// Stage is a step of a pipeline. Its ID is unique in the portal only together
// with the pipeline's: every portal's first pipeline has a "closedwon".
type Stage struct {
	ID, Label string
	// Probability is 0 to 1; nil where HubSpot gives none.
	Probability *float64
	Closed      bool
}

// Pipelines returns the deal pipelines, as the portal orders them; archived ones
// and archived stages are left out.
func (c *Client) Pipelines(ctx context.Context) ([]Pipeline, error) {
	var answer struct {
		Results []wirePipeline `json:"results"`
	}
	r := request{method: http.MethodGet, path: "/crm/v3/pipelines/deals", what: "the deal pipelines"}
	if err := c.call(ctx, r, &answer); err != nil {
		return nil, err
	}
	pipelines := make([]Pipeline, 0, len(answer.Results))
	for _, p := range inOrder(answer.Results) {
		pipeline := Pipeline{ID: string(p.ID), Label: string(p.Label)}
		for _, s := range inOrder(p.Stages) {
			pipeline.Stages = append(pipeline.Stages, Stage{
				ID: string(s.ID), Label: string(s.Label), Probability: probability(s.Metadata.get("probability")),
				Closed: strings.EqualFold(s.Metadata.get("isClosed"), "true"),
			})
		}
		pipelines = append(pipelines, pipeline)
	}
	return pipelines, nil
}

// wirePipeline is a pipeline, or a stage of one: HubSpot writes both alike.
type wirePipeline struct {
	ID           text           `json:"id"`
	Label        text           `json:"label"`
	DisplayOrder number         `json:"displayOrder"`
	Archived     boolean        `json:"archived"`
	Metadata     properties     `json:"metadata"`
	Stages       []wirePipeline `json:"stages"`
}

// inOrder drops what is archived and sorts the rest as the portal shows it.
func inOrder(list []wirePipeline) []wirePipeline {
	list = slices.DeleteFunc(list, func(p wirePipeline) bool { return bool(p.Archived) })
	slices.SortFunc(list, func(a, b wirePipeline) int {
		return cmp.Or(cmp.Compare(a.DisplayOrder, b.DisplayOrder), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Account is what we need to know of a portal itself.
type Account struct {
	Portal int64
	// HomeCurrency is the company currency, "" where HubSpot names none.
	HomeCurrency money.Currency
	TimeZone     string
}

// Account returns the portal that the token belongs to, which need not be the
// one that the client was made for: compare before trusting a new connection.
func (c *Client) Account(ctx context.Context) (Account, error) {
	var answer struct {
		PortalID        number `json:"portalId"`
		CompanyCurrency text   `json:"companyCurrency"`
		TimeZone        text   `json:"timeZone"`
	}
	r := request{method: http.MethodGet, path: "/account-info/v3/details", what: "the account's details"}
	if err := c.call(ctx, r, &answer); err != nil {
		return Account{}, err
	}
	currency := money.Currency(strings.ToUpper(string(answer.CompanyCurrency)))
	if !currency.Valid() {
		currency = ""
	}
	return Account{Portal: int64(answer.PortalID), HomeCurrency: currency, TimeZone: string(answer.TimeZone)}, nil
}
