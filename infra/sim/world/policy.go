package world

import "github.com/geminivideo/geminivideo/shared/backtest"

// Policy is a way of dividing a budget, or the clairvoyant's, which knows the truth.
type Policy struct {
	backtest.Policy
	Clairvoyant bool
	// Prior is that of one who knows all but how good each ad's leads are; see withPrior.
	Prior bool
}

// Prior is the policy of withPrior.
func Prior() Policy {
	return Policy{Policy: backtest.Policy{Name: "knows all but the leads"}, Prior: true}
}

// Policies are the ones that are compared, the clairvoyant last.
func Policies() []Policy {
	var all []Policy
	for _, p := range backtest.Policies() {
		all = append(all, Policy{Policy: p})
	}
	return append(all, Policy{Policy: backtest.Policy{Name: "clairvoyant"}, Clairvoyant: true})
}
