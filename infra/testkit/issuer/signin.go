package issuer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// sessionLife is how long an access token of a sign-in is good, as with Supabase.
const sessionLife = time.Hour

// mailPause is how soon the same address gets another e-mail, as with Supabase.
const mailPause = time.Minute

// Directory is who may sign in and what their tokens say.
type Directory interface {
	// Known says whether there is a user with this address.
	Known(ctx context.Context, email string) (bool, error)
	// Claims is the project's access token hook: it returns the claims that the token is to have.
	Claims(ctx context.Context, userID string, claims map[string]any) (map[string]any, error)
}

// Mail is an e-mail that a sign-in sent.
type Mail struct {
	To   string    `json:"to"`
	Link string    `json:"link"`
	Code string    `json:"code"`
	At   time.Time `json:"at"`
}

// SignIn answers Supabase Auth's REST API for sign-ins: password, magic link
// (with PKCE or without), one-time code, refresh with rotation, and sign-out.
type SignIn struct {
	issuer   *Issuer
	apiKey   string
	password string // of every user
	users    Directory
	now      func() time.Time
	mux      *http.ServeMux

	mu       sync.Mutex
	sessions map[string]*session // by refresh token
	links    map[string]link     // by token hash, auth code or address with one-time code
	mails    []Mail
}

type session struct {
	id, email string
	used      bool
}

type link struct {
	email, challenge string
	expires          time.Time
}

// NewSignIn returns the sign-in of issuer's project, for callers with apiKey.
func NewSignIn(i *Issuer, apiKey, password string, users Directory) *SignIn {
	s := &SignIn{
		issuer: i, apiKey: apiKey, password: password, users: users, now: time.Now, mux: http.NewServeMux(),
		sessions: map[string]*session{}, links: map[string]link{},
	}
	s.mux.HandleFunc("POST /auth/v1/token", s.token)
	s.mux.HandleFunc("POST /auth/v1/otp", s.otp)
	s.mux.HandleFunc("POST /auth/v1/verify", s.verifyCode)
	s.mux.HandleFunc("GET /auth/v1/verify", s.verifyLink)
	s.mux.HandleFunc("POST /auth/v1/logout", s.logout)
	return s
}

// Mails returns what was sent, oldest first.
func (s *SignIn) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail{}, s.mails...)
}

func (s *SignIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && subtle.ConstantTimeCompare([]byte(r.Header.Get("apikey")), []byte(s.apiKey)) != 1 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"Invalid API key"}`))
		return
	}
	s.mux.ServeHTTP(w, r)
}

type signInBody struct {
	Email        string `json:"email"`
	Password     string `json:"password"`
	RefreshToken string `json:"refresh_token"`
	AuthCode     string `json:"auth_code"`
	CodeVerifier string `json:"code_verifier"`
	Challenge    string `json:"code_challenge"`
	Token        string `json:"token"`
}

func readBody(w http.ResponseWriter, r *http.Request) (signInBody, bool) {
	var b signInBody
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&b); err != nil {
		refuse(w, http.StatusBadRequest, "bad_json", "Could not parse request body as JSON")
		return b, false
	}
	b.Email = strings.ToLower(strings.TrimSpace(b.Email))
	return b, true
}

func (s *SignIn) token(w http.ResponseWriter, r *http.Request) {
	b, ok := readBody(w, r)
	if !ok {
		return
	}
	switch r.URL.Query().Get("grant_type") {
	case "password":
		known, err := s.users.Known(r.Context(), b.Email)
		if err != nil {
			fail(w, err)
			return
		}
		if !known || subtle.ConstantTimeCompare([]byte(b.Password), []byte(s.password)) != 1 {
			refuse(w, http.StatusBadRequest, "invalid_credentials", "Invalid login credentials")
			return
		}
		s.grant(w, r, b.Email, uuid.NewString())
	case "refresh_token":
		email, id, ok := s.rotate(b.RefreshToken)
		if !ok {
			refuse(w, http.StatusBadRequest, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
			return
		}
		s.grant(w, r, email, id)
	case "pkce":
		found, ok := s.take(b.AuthCode)
		sum := sha256.Sum256([]byte(b.CodeVerifier))
		if !ok || found.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			refuse(w, http.StatusBadRequest, "bad_code_verifier", "code challenge does not match previously saved code verifier")
			return
		}
		s.grant(w, r, found.email, uuid.NewString())
	default:
		refuse(w, http.StatusBadRequest, "validation_failed", "unsupported_grant_type")
	}
}

// rotate uses a refresh token up. One that comes a second time ends its session,
// for somebody else may have it.
func (s *SignIn) rotate(token string) (email, id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.sessions[token]
	if found == nil {
		return "", "", false
	}
	if found.used {
		maps.DeleteFunc(s.sessions, func(_ string, one *session) bool { return one.id == found.id })
		return "", "", false
	}
	found.used = true
	return found.email, found.id, true
}

func (s *SignIn) grant(w http.ResponseWriter, r *http.Request, email, id string) {
	now := s.now()
	user := uuid.NewSHA1(uuid.NameSpaceURL, []byte(email)).String()
	claims, err := s.users.Claims(r.Context(), user, map[string]any{
		"iss": s.issuer.url + "/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": user, "email": email,
		"iat": now.Unix(), "exp": now.Add(sessionLife).Unix(), "session_id": id, "app_metadata": map[string]any{"provider": "email"},
	})
	if err != nil {
		fail(w, err)
		return
	}
	refresh := rand.Text()
	s.mu.Lock()
	s.sessions[refresh] = &session{id: id, email: email}
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"access_token": s.issuer.Sign(jwt.MapClaims(claims)), "token_type": "bearer", "expires_in": int(sessionLife.Seconds()),
		"expires_at": now.Add(sessionLife).Unix(), "refresh_token": refresh, "user": map[string]any{"id": user, "email": email},
	})
}

// otp sends a link and a code to a user's address.
func (s *SignIn) otp(w http.ResponseWriter, r *http.Request) {
	b, ok := readBody(w, r)
	if !ok {
		return
	}
	known, err := s.users.Known(r.Context(), b.Email)
	if err != nil {
		fail(w, err)
		return
	}
	if !known {
		refuse(w, http.StatusUnprocessableEntity, "otp_disabled", "Signups not allowed for otp")
		return
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sent := range s.mails {
		if wait := mailPause - now.Sub(sent.At); sent.To == b.Email && wait > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
			refuse(w, http.StatusTooManyRequests, "over_email_send_rate_limit", "For security purposes, you can only request this once per minute")
			return
		}
	}
	hash, code := rand.Text(), fmt.Sprintf("%06d", randomBelow(1_000_000))
	found := link{email: b.Email, challenge: b.Challenge, expires: now.Add(sessionLife)}
	s.links[hash], s.links[b.Email+" "+code] = found, found
	query := url.Values{"token": {hash}, "type": {"magiclink"}, "redirect_to": {r.URL.Query().Get("redirect_to")}}
	s.mails = append(s.mails, Mail{To: b.Email, Link: s.issuer.url + "/auth/v1/verify?" + query.Encode(), Code: code, At: now})
	reply(w, http.StatusOK, map[string]any{})
}

// verifyLink is where the e-mail's link leads: it goes on to the page that asked.
func (s *SignIn) verifyLink(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	to, err := url.Parse(query.Get("redirect_to"))
	home, _ := url.Parse(s.issuer.url)
	if err != nil || to.Host != home.Host || to.Scheme != home.Scheme {
		to = home.JoinPath("/console/") // only the project's own addresses
	}
	found, ok := s.take(query.Get("token"))
	back := url.Values{}
	if ok {
		code := uuid.NewString()
		s.mu.Lock()
		s.links[code] = found
		s.mu.Unlock()
		back.Set("code", code)
	} else {
		back.Set("error_code", "otp_expired")
		back.Set("error_description", "Email link is invalid or has expired")
	}
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

func (s *SignIn) verifyCode(w http.ResponseWriter, r *http.Request) {
	b, ok := readBody(w, r)
	if !ok {
		return
	}
	found, ok := s.take(b.Email + " " + b.Token)
	if !ok {
		refuse(w, http.StatusForbidden, "otp_expired", "Token has expired or is invalid")
		return
	}
	s.grant(w, r, found.email, uuid.NewString())
}

// take uses a link or a code up.
func (s *SignIn) take(name string) (link, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.links[name]
	delete(s.links, name)
	return found, ok && found.expires.After(s.now())
}

// logout ends the token's session, or with scope global all of its user's.
func (s *SignIn) logout(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return s.issuer.key.Public(), nil }); err != nil {
		refuse(w, http.StatusForbidden, "bad_jwt", "invalid JWT")
		return
	}
	scope := r.URL.Query().Get("scope")
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sessions, func(_ string, one *session) bool {
		if scope == "local" {
			return one.id == claims["session_id"]
		}
		return one.email == claims["email"]
	})
	w.WriteHeader(http.StatusNoContent)
}

func randomBelow(n uint32) uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return (uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])) % n
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]any{"code": status, "error_code": code, "msg": message})
}

func fail(w http.ResponseWriter, err error) {
	refuse(w, http.StatusInternalServerError, "unexpected_failure", err.Error())
}
