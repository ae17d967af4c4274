package hubspot_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// BenchmarkBatch is what a full batch costs the webhook beside the network: reading its
// 100 events, and writing a message and a key for each.
func BenchmarkBatch(b *testing.B) {
	var body bytes.Buffer
	for i := range hubspot.MaxBatch {
		fmt.Fprintf(&body, `,{"eventId":%d,"subscriptionId":1,"portalId":7,"appId":1,"occurredAt":1764500000000,"subscriptionType":"deal.propertyChange",`+
			`"attemptNumber":0,"objectId":%d,"changeSource":"CRM_UI","propertyName":"dealstage","propertyValue":"closedwon"}`, i, i)
	}
	body.WriteByte(']')
	batch := body.Bytes()
	batch[0] = '['
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(batch)))
		for b.Loop() {
			if _, err := hubspot.ParseBatch(batch); err != nil {
				b.Fatal(err)
			}
		}
	})
	events, err := hubspot.ParseBatch(batch)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			data := make([]byte, 0, 64<<10)
			for _, e := range events {
				data = e.AppendKey(e.AppendMessage(data))
			}
		}
	})
}
