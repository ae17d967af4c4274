package analyze

// What the manifest has to fit.
const (
	Tries    = tries
	ClaimFor = claimFor
	Nonsense = nonsense
)
