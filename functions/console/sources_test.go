package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources returns what the page is built from, by its path in web: the list is
// web/vite.config.ts's.
func sources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, root := range []string{
		"index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json", "src", "mlapi/package.json", "mlapi/src",
	} {
		err := filepath.WalkDir(filepath.Join("web", root), func(file string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(file), "web/")
			if name == "mlapi/src/schema.ts" {
				return nil // types only: nothing of it is in the page
			}
			data, err := os.ReadFile(file)
			all[name] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestThePageIsBuiltFromTheseSources(t *testing.T) {
	t.Parallel()
	all := sources(t)
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		one := sha256.Sum256([]byte(all[name]))
		fmt.Fprintf(sum, "%s\x00%s\n", name, hex.EncodeToString(one[:]))
	}
	stamped, err := os.ReadFile("page/sources.sha256")
	if err != nil || strings.TrimSpace(string(stamped)) != hex.EncodeToString(sum.Sum(nil)) {
		t.Errorf("page was built from other sources than web's: run npm ci && npm run build in functions/console/web (%v)", err)
	}
}

func TestTheLockFileNamesNoRegistry(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`"resolved": "http[^"]*"|registry\.`).Find(data); found != nil {
		t.Errorf("web/package-lock.json holds %s: npm config set omit-lockfile-registry-resolved true", found)
	}
}

// elsewhere are the operations that no person uses in the console, and why.
var elsewhere = map[string]string{
	"GET /health":       "for load balancers",
	"GET /openapi.json": "for programs; the page's noscript text leads to it",
	"POST /api/ml/attribution/attribute-conversion": "a conversion of some other system, shown by a program",
	"POST /api/ml/attribution/track-click":          "the click beacon; the page of keys shows how a landing page calls it",
	"POST /api/ml/battle-hardened/feedback":         "figures of some other system, shown by a program; people import them",
	"POST /api/ml/rag/index-winner":                 "winners are indexed by themselves",
	"POST /api/ml/synthetic-revenue/ad-roas":        "for programs; an ad's page shows its pipeline ROAS",
	"POST /api/ml/synthetic-revenue/calculate":      "for programs; editing a stage says what changes",
	"POST /api/ml/synthetic-revenue/get-stages":     "the same as GET stages, which the console reads",
	"POST /api/titan/oracle/predict":                "the gate asks the same model and judges its answer",
	"GET /api/titan/director/refreshes/{id}":        "the list of replacements says the same of each",
	"GET /api/tenants":                              "the list of accounts carries the tenant",
	"POST /api/me/live-token":                       "for front ends that listen to Firestore; the console polls",
	"GET /webhooks/meta":                            "Meta's verification",
	"POST /webhooks/meta":                           "Meta's lead forms",
	"POST /webhooks/hubspot":                        "HubSpot's webhook; the page of HubSpot shows its address",
	"POST /webhooks/deals/{source}":                 "another CRM's webhook; the page of sources shows its address",
}

var hole = regexp.MustCompile(`\$?\{[^}{\s]*\}`)

func TestEveryOperationThatAPersonUsesHasAPlaceInTheConsole(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(get(t, http.MethodGet, "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for name, source := range sources(t) {
		if strings.HasPrefix(name, "src/") || name == "mlapi/src/index.ts" {
			text.WriteString(hole.ReplaceAllString(source, "{}"))
		}
	}
	all := text.String()
	for p, item := range doc.Paths {
		for method := range item {
			op := strings.ToUpper(method) + " " + p
			if elsewhere[op] != "" || method == "parameters" {
				continue
			}
			bare := hole.ReplaceAllString(p, "{}")
			if !strings.Contains(all, "'"+bare+"'") && !strings.Contains(all, "`"+bare) {
				t.Errorf("%s has no place in the console: use it in web/src, or say in elsewhere why not", op)
			}
		}
	}
	documented := map[string]bool{}
	for p := range doc.Paths {
		documented[hole.ReplaceAllString(p, "{}")] = true
	}
	for _, m := range regexp.MustCompile("['`](/api/[^'`?\\s]*)['`?]").FindAllStringSubmatch(all, -1) {
		if !documented[m[1]] && m[1] != "/api/" {
			t.Errorf("the console names %s, which openapi.json does not have", m[1])
		}
	}
}
