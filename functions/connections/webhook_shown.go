package connections

import (
	"strconv"

	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/webhookconn"
)

func itoa(n int) string { return strconv.Itoa(n) }

func webhookShown(r webhookconn.Webhook) Webhook {
	w := Webhook{
		Configured: r.Secret != "", Enabled: r.Secret != "" && r.DisabledAt == nil, URL: r.URL, Kinds: r.Kinds, AllKinds: notice.Kinds,
		SecretSetAt: inUTC(r.SecretSetAt), DisabledAt: inUTC(r.DisabledAt), DisabledReason: deref(r.DisabledReason),
		LastDeliveredAt: inUTC(r.LastDeliveredAt), LastFailedAt: inUTC(r.LastFailedAt), LastError: deref(r.LastError),
		UpdatedAt: inUTC(r.UpdatedAt), UpdatedBy: r.UpdatedBy, FailingSince: inUTC(r.FailingSince),
	}
	if w.Kinds == nil {
		w.Kinds = []string{}
	}
	if r.Overlapping() {
		w.PreviousSecretUntil = inUTC(r.PreviousUntil)
	}
	return w
}
