package relay_test

import (
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/message"
)

func TestAChangeOfTheEmbeddingModelThatIsDueIsAskedFor(t *testing.T) {
	t.Parallel()
	f := open(t)
	if _, err := f.queue.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/winner-found"}); err != nil {
		t.Fatal(err)
	}
	f.exec(t, `INSERT INTO gv.embedding_models (tenant_id, active, target, due_at) VALUES ($1, 'a', 'b', now())`, tenant)
	for _, want := range []float64{1, 0} { // what is claimed is not asked for again
		if got := f.run(t); got["asked"] != want {
			t.Errorf("asked %v times, want %v", got["asked"], want)
		}
	}
	f.exec(t, `UPDATE gv.embedding_models SET due_at = now()`) // the message was lost
	f.run(t)
	var keys, bodies []string
	for _, m := range f.queue.Messages() {
		keys = append(keys, m.Attributes[message.KeyAttribute])
		bodies = append(bodies, string(m.Data))
		if m.Attributes[message.TenantAttribute] != tenant {
			t.Errorf("the message is of %s", m.Attributes[message.TenantAttribute])
		}
	}
	if diff := cmp.Diff([]string{"reembed/" + tenant + "/1", "reembed/" + tenant + "/2"}, keys); diff != "" || bodies[1] != `{"reembed":2}` {
		t.Errorf("%v: %s", bodies, diff)
	}
}

func TestWinnersThatAreStoredAreNotAskedFor(t *testing.T) {
	t.Parallel()
	f := open(t)
	if _, err := f.queue.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/winner-found"}); err != nil {
		t.Fatal(err)
	}
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc')`, tenant)
	f.exec(t, `INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, tenant)
	f.exec(t, `INSERT INTO gv.embedding_models (tenant_id, active) VALUES ($1, 'm')`, tenant)
	f.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, is_winner) SELECT $1, 'ad-' || n, 'acc', 'c', n % 4 <> 0 FROM generate_series(0, 799) n`, tenant)
	f.exec(t, `
		INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, active, content_hash)
		SELECT $1, 'ad-' || n, CASE n % 4 WHEN 2 THEN 'old' ELSE 'm' END, array_fill(1, ARRAY[768])::extensions.vector, 'x', '{}', 4, 0.1, n % 4 <> 3, '\x00'
		FROM   generate_series(0, 799) n WHERE n % 4 > 0`, tenant)
	got := f.run(t) // of each four one is no winner, one is found, one is found by another model only, one is hidden
	asked := f.queue.Messages()
	if len(asked) == 0 || len(asked) > 40 || got["asked"] != float64(len(asked)) {
		t.Fatalf("%d of 800 are asked for, %v", len(asked), got)
	}
	for _, m := range asked {
		_, ad, _ := strings.Cut(string(m.Data), `"ad_id":"ad-`)
		ad = strings.TrimRight(ad, `"}`)
		if n := f.count(t, `generate_series(0, 799) n WHERE n::text = '`+ad+`' AND n % 4 IN (2, 3)`); n != 1 {
			t.Errorf("ad-%s is asked for", ad)
		}
	}
}

func TestAQueueThatIsDownDelaysTheAsking(t *testing.T) {
	t.Parallel()
	f := open(t) // without the topic
	f.exec(t, `INSERT INTO gv.embedding_models (tenant_id, active, target, due_at) VALUES ($1, 'a', 'b', now())`, tenant)
	if status, answer := f.answer(t.Context()); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
	if n := f.count(t, `gv.embedding_models WHERE due_at > now() AND due_at < now() + interval '6 minutes'`); n != 1 {
		t.Error("the change is not asked for again")
	}
}
