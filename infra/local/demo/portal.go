package demo

import (
	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
)

// Pipeline is the sales pipeline of both tenants' portals, which the local system
// connects with it: HubSpot's usual one with two stages of their own, whose ids
// are numbers as HubSpot gives them.
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
