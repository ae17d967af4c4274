package analyze

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/serve"
)

// What a message's deliveries have to fit.
const (
	Tries    = tries
	Nonsense = nonsense
)

// Renewing lets a consumer renew its claims every d.
func Renewing(c serve.Consumer, d time.Duration) { c.(*function).renew = d }
