// Package learning runs an account's self-learning cycle and holds its rules: how
// predictions are judged, how accurate they were, which patterns of the creative
// DNA pay. What a step does with other packages is joined in shared/selflearning.
//
// Invariants, each with the test that proves it:
//   - an account has one running cycle (TestTwoTriggersAtOnceGiveOneCycle);
//   - a step's findings and its state are written in one transaction, so a cycle
//     that is killed anywhere and run again ends the same
//     (TestKillingACycleInAnyStepAndStartingAgainGivesTheSameResult);
//   - a runner that has lost its lease writes nothing
//     (TestARunnerThatLostItsLeaseWritesNothing).
package learning

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
)

// ScheduleName is what a tenant's own schedule of cycles is called in
// gv.schedules; the hourly run passes such a tenant over.
const ScheduleName = "learning"

// The steps of a cycle, by number.
const (
	FetchActuals = 1 + iota
	CalculateAccuracy
	AutoRetrain
	CompoundLearning
	AutoPromote
	CrossLearning
	RAGIndexing
)

// Names are the steps' names, in their order.
var Names = []string{
	"fetch_actuals", "calculate_accuracy", "auto_retrain", "compound_learning", "auto_promote", "cross_learning", "rag_indexing",
}

// Status is where a cycle or a step stands.
type Status string

// The statuses: a step is pending, active, completed, skipped or failed; a cycle
// is running, completed or failed.
const (
	Pending   Status = "pending"
	Active    Status = "active"
	Completed Status = "completed"
	Skipped   Status = "skipped"
	Failed    Status = "failed"
	Running   Status = "running"
)

// Ended reports whether a step has come to its end.
func (s Status) Ended() bool { return s == Completed || s == Skipped || s == Failed }

// Cycle is one learning cycle of an account.
type Cycle struct {
	Tenant    string
	ID        string
	Account   string
	Status    Status
	Retrain   bool    // whether step 3 may train
	Threshold float64 // the accuracy below which step 3 trains
	By        string  // who asked for it
	// StartedAt is the cycle's clock: every step reckons from it, so that a step
	// that is run again comes to the same.
	StartedAt   time.Time
	CompletedAt *time.Time
	Steps       []StepState
}

// StepState is a step of a cycle as it stands.
type StepState struct {
	Step        int
	Name        string
	Status      Status
	Attempts    int
	Reason      string
	Result      json.RawMessage
	StartedAt   *time.Time
	CompletedAt *time.Time
}

// Found decodes the result of an earlier step into v and reports whether that step
// was completed.
func (c *Cycle) Found(step int, v any) bool {
	s := &c.Steps[step-1]
	return s.Status == Completed && json.Unmarshal(s.Result, v) == nil
}

// Work is what a step has come to: what is still to be written.
type Work struct {
	// Skip says why the step has nothing to do; then nothing is written.
	Skip string
	// Reason explains numbers that are null.
	Reason string
	// Write writes what the step found and returns its result, a JSON object. It runs
	// in the transaction that completes the step, and again where that has to be
	// repeated.
	Write func(ctx context.Context, tx pgx.Tx) (any, error)
}

// Step is one step's work.
type Step struct {
	// Needs are the steps without whose success this one is skipped.
	Needs []int
	// Deadline bounds Do and Write together.
	Deadline time.Duration
	// Do reads and computes. It writes nothing; what it wants written is in Work.
	Do func(ctx context.Context, c *Cycle) (Work, error)
}
