// Package faults plays the main flow while something goes wrong: HubSpot, Meta's lead
// forms and another CRM report deals to the functions' doors, a queue hands them to
// crmevent, and the winners among the ads go to index. Everything of ours is the real
// function on a real Postgres; HubSpot, Meta, Gemini, Pub/Sub and Secret Manager are
// fakes that can fail. At the end each test looks in SQL whether what was acknowledged is
// there, once, and whether the ads' sums are exact. `go run ./infra/bench faults` runs them.
package faults
