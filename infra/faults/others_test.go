package faults

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

// answering plays the story while the first answers of somebody else are as inject makes
// them; left is how many of these were never given.
func answering(t *testing.T, inject func(*flow), left func(*flow) int) {
	t.Helper()
	t.Parallel()
	f := onPostgres(t)
	inject(f)
	f.play(nil)
	f.holds()
	if n := left(f); n > 0 {
		t.Errorf("%d faults never struck", n)
	}
}

func hubspotIs(t *testing.T, fault fakehubspot.Fault) {
	t.Helper()
	answering(t, func(f *flow) { f.crm.Inject(fault) }, func(f *flow) int { return f.crm.FaultsLeft() })
}

func TestTheMainFlowSurvivesAHubSpotThatHangs(t *testing.T) {
	hubspotIs(t, fakehubspot.Fault{Delay: time.Hour, Times: 2})
}

func TestTheMainFlowSurvivesAHubSpotThatAnswers429(t *testing.T) {
	hubspotIs(t, fakehubspot.Fault{Status: 429, Times: 12})
}

func TestTheMainFlowSurvivesAHubSpotThatAnswers500(t *testing.T) {
	hubspotIs(t, fakehubspot.Fault{Status: 500, Times: 20})
}

func TestTheMainFlowSurvivesAHubSpotThatAnswersHalfABody(t *testing.T) {
	hubspotIs(t, fakehubspot.Fault{Truncate: true, Times: 20})
}

func TestTheMainFlowSurvivesAHubSpotThatAnswersGarbage(t *testing.T) {
	hubspotIs(t, fakehubspot.Fault{Body: "<html>a proxy's page</html>", Times: 20})
}

// metaIs answers questions after leads so.
func metaIs(t *testing.T, fault fakemeta.Fault) {
	t.Helper()
	answering(t, func(f *flow) { f.meta.Inject(fault) }, func(f *flow) int { return f.meta.FaultsLeft() })
}

func TestTheMainFlowSurvivesAMetaThatHangs(t *testing.T) {
	metaIs(t, fakemeta.Fault{Delay: time.Hour, Times: 2})
}

// One 429 is enough: whoever got it leaves Meta alone for minutes.
func TestTheMainFlowSurvivesAMetaThatAnswers429(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	f.meta.Inject(fakemeta.Fault{Status: 429})
	f.play(nil)
	f.eventually("Meta has said 429", func() bool { return f.meta.FaultsLeft() == 0 })
	f.quota.jump(time.Hour)
	f.holds()
}

func TestTheMainFlowSurvivesAMetaThatAnswers500(t *testing.T) {
	metaIs(t, fakemeta.Fault{Status: 500, Times: 6})
}

func TestTheMainFlowSurvivesAMetaThatAnswersHalfABody(t *testing.T) {
	metaIs(t, fakemeta.Fault{Truncate: true, Times: 6})
}

func TestTheMainFlowSurvivesAMetaThatAnswersGarbage(t *testing.T) {
	metaIs(t, fakemeta.Fault{Body: "<html>a proxy's page</html>", Times: 6})
}

// geminiIs answers requests for vectors so, three times.
func geminiIs(t *testing.T, fault fakegemini.Fault) {
	t.Helper()
	answering(t, func(f *flow) { f.gemini.Inject(fault, fault, fault) }, func(f *flow) int { return f.gemini.FaultsLeft() })
}

func TestTheMainFlowSurvivesAGeminiThatHangs(t *testing.T) { geminiIs(t, fakegemini.Hang()) }

func TestTheMainFlowSurvivesAGeminiThatAnswers429(t *testing.T) {
	geminiIs(t, fakegemini.Quota(100*time.Millisecond))
}

func TestTheMainFlowSurvivesAGeminiThatAnswers500(t *testing.T) {
	geminiIs(t, fakegemini.Status(http.StatusInternalServerError, "INTERNAL"))
}

func TestTheMainFlowSurvivesAGeminiThatAnswersHalfABody(t *testing.T) {
	geminiIs(t, fakegemini.Body(`{"embeddings": [{"values": [0.25, 0.`))
}

func TestTheMainFlowSurvivesAGeminiThatAnswersGarbage(t *testing.T) {
	geminiIs(t, fakegemini.Body("<html>a proxy's page</html>"))
}

// Of each four deliveries one is turned away before it is handled, and so comes later than
// those after it; one is handled and its acknowledgement lost; one is handled twice at once.
func TestTheMainFlowSurvivesAQueueThatRedeliversAndReorders(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	var late, again, twins atomic.Int32
	f.delivery = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch rand.IntN(4) {
			case 0:
				late.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			case 1:
				again.Add(1)
				h.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusServiceUnavailable)
			case 2:
				twins.Add(1)
				twice(h, w, r)
			default:
				h.ServeHTTP(w, r)
			}
		})
	}
	f.play(nil)
	f.holds()
	if late.Load() < 5 || again.Load() < 5 || twins.Load() < 5 {
		t.Errorf("%d deliveries were put off, %d lost their acknowledgement, %d had a twin: the test proves little",
			late.Load(), again.Load(), twins.Load())
	}
}

// twice hands the same delivery to the handler two times at once.
func twice(h http.Handler, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	both := [2]*http.Request{r.Clone(r.Context()), r.Clone(r.Context())}
	for _, one := range both {
		one.Body = io.NopCloser(bytes.NewReader(body))
	}
	var twin sync.WaitGroup
	twin.Go(func() { h.ServeHTTP(httptest.NewRecorder(), both[0]) })
	h.ServeHTTP(w, both[1])
	twin.Wait()
}

// The old tokens are refused from a third of the story on. An admin connects the portal and
// the page anew in its last third, and replays the leads that were given up: a page's token
// that is refused is for good until then.
func TestTheMainFlowSurvivesTokensThatExpireInItsMiddle(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	refused := 0
	f.play(func(n int) {
		switch n {
		case deals / 3:
			f.portal.SetTokens("pat-new")
			f.meta.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{"EAAnew"}})
		case 2 * deals / 3:
			f.eventually("a refused token is shown with its connection", func() bool {
				refused = one[int](f, `SELECT count(*) FROM gv.hubspot_connections WHERE last_error IS NOT NULL`)
				return refused == 1
			})
			f.setSecret("hubspot-token", "pat-new")
			f.setSecret("page-token", "EAAnew")
		}
	})
	f.replay()
	f.holds()
}

func TestTheMainFlowSurvivesASecretManagerThatIsDown(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	var asked atomic.Int32
	f.vault.Before(func(string) error {
		if asked.Add(1) <= 30 {
			return errors.New("Secret Manager is down")
		}
		return nil
	})
	f.play(nil)
	f.holds()
	if asked.Load() <= 30 {
		t.Errorf("it was asked %d times: the test proves little", asked.Load())
	}
}
