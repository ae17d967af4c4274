// Package revenue knows what the stages of a tenant's pipeline are worth, and
// keeps the deals' values in step when a stage is worth something else.
package revenue

import "github.com/geminivideo/geminivideo/shared/money"

// ClosedWon is the stage of a deal that was bought, whose real amount counts.
const ClosedWon = "closed_won"

// Stage is a stage of a tenant's pipeline.
type Stage struct {
	Name        string
	Value       money.Amount // in the tenant's currency
	Confidence  float64      // that a deal in it is worth that, 0 to 1
	Description string
}

// Worth returns what a deal in stage is worth: its real amount where it is won
// and the amount is known, the stage's value otherwise. A deal whose amount is
// known but cannot be used, such as one in a foreign currency, is worth nothing;
// that is for the caller to say, as Revalue does.
func Worth(stage Stage, won bool, amount *money.Amount) money.Amount {
	if won && amount != nil {
		return *amount
	}
	return stage.Value
}
