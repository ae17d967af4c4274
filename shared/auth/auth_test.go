package auth_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
)

const tenant = "7e3a1d2c-0000-4000-8000-00000000000a"

func TestATokenOfTheProjectSaysWhoIsAsking(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for name, key := range map[string]crypto.Signer{"ES256": newEC(t), "RS256": newRSA(t)} {
		p.add(name, key)
		got, err := p.verifier().Verify(t.Context(), p.sign(t, name, key, p.claims()))
		want := auth.Identity{Tenant: tenant, Role: auth.Editor, Subject: "u-1", Email: "m@example.com"}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestATokenThatIsNotGoodHereIsRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key, foreign, weak := newEC(t), newEC(t), newRSA(t)
	p.add("k", key)
	p.add("rsa", weak)
	v := p.verifier()
	with := func(change func(jwt.MapClaims)) string {
		c := p.claims()
		change(c)
		return p.sign(t, "k", key, c)
	}
	good := p.sign(t, "k", key, p.claims())
	head, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for name, token := range map[string]string{
		"expired":               with(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"without an end":        with(func(c jwt.MapClaims) { delete(c, "exp") }),
		"from tomorrow":         with(func(c jwt.MapClaims) { c["iat"] = time.Now().Add(24 * time.Hour).Unix() }),
		"not yet":               with(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }),
		"another project":       with(func(c jwt.MapClaims) { c["iss"] = "https://other.supabase.co/auth/v1" }),
		"no issuer":             with(func(c jwt.MapClaims) { delete(c, "iss") }),
		"anonymous audience":    with(func(c jwt.MapClaims) { c["aud"] = "anon" }),
		"no audience":           with(func(c jwt.MapClaims) { delete(c, "aud") }),
		"another's signature":   p.sign(t, "k", foreign, p.claims()),
		"no key id":             p.signWith(t, map[string]any{"kid": nil}, key, p.claims()),
		"an unknown extension":  p.signWith(t, map[string]any{"kid": "k", "crit": []string{"exp2"}, "exp2": 1}, key, p.claims()),
		"an expiry as a text":   with(func(c jwt.MapClaims) { c["exp"] = fmt.Sprint(time.Now().Add(time.Hour).Unix()) }),
		"a start as a text":     with(func(c jwt.MapClaims) { c["nbf"] = fmt.Sprint(time.Now().Add(-time.Hour).Unix()) }),
		"unknown key":           p.sign(t, "made-up", foreign, p.claims()),
		"another key's id":      p.sign(t, "rsa", key, p.claims()),
		"none":                  unsigned(t, p.claims(), "none"),
		"none, oddly written":   unsigned(t, p.claims(), "nOnE"),
		"HS256 with public key": hmacSigned(t, "k", public, p.claims()),
		"HS256 with nothing":    hmacSigned(t, "", nil, p.claims()),
		"changed body":          head + "." + strings.ToLower(body) + "." + signature,
		"cut":                   good[:len(good)-5],
		"no token":              "x.y.z",
		"a word":                "token",
		"huge":                  strings.Repeat("a", 1<<16),
	} {
		_, err := v.Verify(t.Context(), token)
		if fault.Of(err) != fault.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenWithoutATenantBelongsToNone(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key := newEC(t)
	p.add("k", key)
	for name, meta := range map[string]any{
		"no metadata": nil, "empty": map[string]any{}, "no uuid": map[string]any{"tenant_id": "1"},
		"injected": map[string]any{"tenant_id": tenant + "' OR true"},
	} {
		c := p.claims()
		c["app_metadata"] = meta
		c["user_metadata"] = map[string]any{"tenant_id": tenant, "role": "admin"} // a user writes these
		if got, err := p.verifier().Verify(t.Context(), p.sign(t, "k", key, c)); err != nil || got.Tenant != "" || got.Role != auth.Viewer {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAnUnknownRoleMayOnlyRead(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key := newEC(t)
	p.add("k", key)
	v := p.verifier()
	for name, want := range map[string]auth.Role{
		"admin": auth.Admin, "editor": auth.Editor, "viewer": auth.Viewer, "": auth.Viewer, "ADMIN": auth.Viewer, "owner": auth.Viewer, "public": auth.Viewer,
	} {
		c := p.claims()
		c["app_metadata"] = map[string]any{"tenant_id": strings.ToUpper(tenant), "role": name}
		got, err := v.Verify(t.Context(), p.sign(t, "k", key, c))
		if err != nil || got.Role != want || got.Tenant != tenant {
			t.Errorf("%q: %v of %s, %v", name, got.Role, got.Tenant, err)
		}
	}
}

func TestTheLegacySecretCountsOnlyWhereConfigured(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key := newEC(t)
	p.add("k", key)
	secret := []byte("a legacy secret of thirty-two bytes")
	token := hmacSigned(t, "", secret, p.claims())
	if _, err := p.verifier().Verify(t.Context(), token); fault.Of(err) != fault.Unauthorized {
		t.Errorf("not configured: %v", err)
	}
	legacy := auth.New(auth.Config{SupabaseURL: p.URL + "/", LegacySecret: string(secret)})
	if got, err := legacy.Verify(t.Context(), token); err != nil || got.Tenant != tenant {
		t.Errorf("configured: %+v, %v", got, err)
	}
	if _, err := legacy.Verify(t.Context(), hmacSigned(t, "", []byte("another"), p.claims())); fault.Of(err) != fault.Unauthorized {
		t.Errorf("another secret: %v", err)
	}
	if _, err := legacy.Verify(t.Context(), p.sign(t, "k", key, p.claims())); err != nil {
		t.Errorf("a new token beside it: %v", err)
	}
}

func TestARotatedKeyIsFetchedAtOnce(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	old, fresh := newEC(t), newEC(t)
	p.add("old", old)
	p.delay = 200 * time.Millisecond // as far as a real project is
	v := p.verifier()
	if _, err := v.Verify(t.Context(), p.sign(t, "old", old, p.claims())); err != nil {
		t.Fatal(err)
	}
	p.add("fresh", fresh)
	if _, err := v.Verify(t.Context(), p.sign(t, "fresh", fresh, p.claims())); err != nil {
		t.Errorf("the new key: %v", err)
	}
	p.remove("old")
	p.add("fresher", newEC(t))
	_, _ = v.Verify(t.Context(), p.sign(t, "fresher", fresh, p.claims()))
	if _, err := v.Verify(t.Context(), p.sign(t, "old", old, p.claims())); fault.Of(err) != fault.Unauthorized {
		t.Errorf("a key that was withdrawn: %v", err)
	}
}

func TestMadeUpKeysDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key := newEC(t)
	p.add("k", key)
	v := p.verifier()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), p.sign(t, fmt.Sprint("made-up", i), key, p.claims())); fault.Of(err) != fault.Unauthorized {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := p.fetches(); n > 20 { // four at once, and one more each 5 s, however slow the machine is
		t.Errorf("fetched %d times", n)
	}
	if _, err := v.Verify(t.Context(), p.sign(t, "k", key, p.claims())); err != nil {
		t.Errorf("a good token meanwhile: %v", err)
	}
}

func TestAnIssuerThatIsDownIs503UntilItIsBack(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key, fresh := newEC(t), newEC(t)
	p.add("k", key)
	p.setDown(true)
	v := p.verifier()
	_, err := v.Verify(t.Context(), p.sign(t, "k", key, p.claims()))
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("down from the start: %v", err)
	}
	p.setDown(false)
	if _, err := v.Verify(t.Context(), p.sign(t, "k", key, p.claims())); err != nil {
		t.Errorf("back: %v", err)
	}
	p.setDown(true)
	if _, err := v.Verify(t.Context(), p.sign(t, "k", key, p.claims())); err != nil {
		t.Errorf("down, but the key is known: %v", err)
	}
	p.add("fresh", fresh)
	if _, err := v.Verify(t.Context(), p.sign(t, "fresh", fresh, p.claims())); fault.Of(err) != fault.Unavailable {
		t.Errorf("down, and the key is new: %v", err)
	}
}

func TestTheHeaderMustBeABearersToken(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	key := newEC(t)
	p.add("k", key)
	v, token := p.verifier(), p.sign(t, "k", key, p.claims())
	for header, good := range map[string]bool{
		"Bearer " + token: true, "bearer " + token: true, "Bearer  " + token: true,
		"": false, token: false, "Basic " + token: false, "Bearer": false, "Bearer ": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		if _, err := v.VerifyRequest(r); (err == nil) != good {
			t.Errorf("%.12q: %v", header, err)
		}
	}
}

func TestATenantInARequestMustBeOnesOwn(t *testing.T) {
	t.Parallel()
	ctx := auth.With(t.Context(), auth.Identity{Tenant: tenant})
	for named, own := range map[string]bool{tenant: true, strings.ToUpper(tenant): true, "": false, "7e3a1d2c-0000-4000-8000-00000000000b": false} {
		if err := auth.Own(ctx, named); (err == nil) != own || err != nil && fault.Of(err) != fault.Forbidden {
			t.Errorf("%q: %v", named, err)
		}
	}
	if auth.From(t.Context()).Role != auth.Public {
		t.Error("nobody has a role")
	}
}
