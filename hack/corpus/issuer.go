package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// tokenLife is how long an identity token counts.
const tokenLife = 5 * time.Minute

// issuer is an OpenID Connect provider on loopback: as much of one as Fulcio
// asks. Each path of it is an issuer of its own.
type issuer struct {
	server *httptest.Server
	key    *rsa.PrivateKey
}

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	i := &issuer{key: key}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		var answer any
		switch what {
		case ".well-known/openid-configuration":
			answer = map[string]any{
				"issuer": i.url(who), "jwks_uri": i.url(who) + "/keys", "authorization_endpoint": i.url(who) + "/auth", "token_endpoint": i.url(who) + "/token",
				"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			}
		case "keys":
			answer = map[string]any{"keys": []any{map[string]any{
				"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "corpus", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
			}}}
		default:
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // the asker will say so
	}))
	return i, nil
}

func (i *issuer) url(who string) string { return i.server.URL + "/" + who }

// token vouches for claims.
func (i *issuer) token(who string, claims map[string]any) (string, error) {
	all := map[string]any{"iss": i.url(who), "aud": "sigstore", "iat": time.Now().Unix(), "exp": time.Now().Add(tokenLife).Unix()}
	maps.Copy(all, claims)
	body, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	signed := encode([]byte(`{"alg":"RS256","kid":"corpus","typ":"JWT"}`)) + "." + encode(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	return signed + "." + encode(signature), err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
