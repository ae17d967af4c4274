package demo

import (
	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/local/fakehubspot"
)

// Pipeline is the sales pipeline of both tenants' portals: HubSpot's usual one
// with two stages of their own, whose ids are numbers as HubSpot gives them.
var Pipeline = fakehubspot.Pipeline{ID: "default", Label: "Sales Pipeline", Stages: []fakehubspot.Stage{
	{ID: "1054862931", Label: "New Lead", Probability: 0.1},
	{ID: "appointmentscheduled", Label: "Appointment Scheduled", Probability: 0.3},
	{ID: "1054862947", Label: "Showed Up", Probability: 0.6},
	{ID: "closedwon", Label: "Closed Won", Probability: 1, Closed: true},
	{ID: "closedlost", Label: "Closed Lost", Probability: 0, Closed: true},
}}

// stageIDs are the portal's stages by the tenant's.
var stageIDs = map[sim.Stage]string{
	sim.Lead: "1054862931", sim.Appointment: "appointmentscheduled", sim.ShowUp: "1054862947",
	sim.Won: "closedwon", sim.Lost: "closedlost",
}

// PortalConfig is a tenant's portal as the demo wants it; tokens, secret and
// target are the local system's to add. Its request limit is a machine's, not
// HubSpot's: a month of deals is read within seconds.
func PortalConfig(t Tenant) fakehubspot.PortalConfig {
	rates := map[string]float64{"CAD": 0.71, "EUR": 1.16}
	if t.Currency == "EUR" {
		rates = map[string]float64{"CHF": 1.07, "USD": 0.86}
	}
	return fakehubspot.PortalConfig{
		ID: t.PortalID, HomeCurrency: t.Currency, Rates: rates, Pipelines: []fakehubspot.Pipeline{Pipeline}, Limit: RequestsPer10s,
	}
}

// RequestsPer10s is the limit of the demo's portals; HUBSPOT_REQUESTS_PER_10S
// may be as much.
const RequestsPer10s = 20_000
