package sigstore_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// A pattern that matches the same workflow of any owner admits everybody.
func TestR14PatternsForAnyOwner(t *testing.T) {
	root := trustedRoot(t, whole(t).TrustedRoot())
	cases := map[string]struct {
		expression string
		everybody  bool
		always     bool // also of one source repository
	}{
		"Everything":      {expression: `https://github\.com/.*`, everybody: true, always: true},
		"AnyRepository":   {expression: `https://github\.com/[^/]+/[^/]+/\.github/workflows/docker-publish\.yml@refs/tags/.*`, everybody: true},
		"AnyOwner":        {expression: `https://github\.com/.*/app/.*`, everybody: true},
		"Anything":        {expression: `https://github\.com/.+/\.github/workflows/deploy\.yml@.+`, everybody: true},
		"LettersAlone":    {expression: `https://github\.com/[a-z]+/app/\.github/workflows/x\.yml@refs/heads/main`, everybody: true},
		"OneOfWhichIsAny": {expression: `https://github\.com/(acme|[^/]*)/app/.*`, everybody: true},
		"GitLab":          {expression: `https://gitlab\.com/.*//\.gitlab-ci\.yml@refs/heads/release`, everybody: true},
		"MailAnywhere":    {expression: `release@.*`, everybody: true},
		"Owner":           {expression: `https://github\.com/acme/.*`, everybody: false},
		"Owners":          {expression: `https://github\.com/(acme|other)/app/.*@refs/tags/v[0-9.]+`, everybody: false},
		"Domain":          {expression: `.*@acme\.example`, everybody: false},
		"PrivateHost":     {expression: `https://gitlab\.acme\.example/.*//\.gitlab-ci\.yml@refs/heads/main`, everybody: false},
		"TrustDomain":     {expression: `spiffe://acme\.example/ns/.*/sa/builder`, everybody: false},
		"Cluster":         {expression: `https://kubernetes\.io/namespaces/ci/serviceaccounts/.*`, everybody: false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			subject, err := sigstore.Matching(tc.expression)
			if err != nil {
				t.Fatal(err)
			}
			identity := sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), Subject: subject}
			if _, err := sigstore.NewKeyless(identity, sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: root}}); (err != nil) != tc.everybody {
				t.Errorf("%s: want refused %t, got %v", tc.expression, tc.everybody, err)
			}
			if tc.everybody { // of one repository's runs it is one of few
				identity.SourceRepository = "https://github.com/acme/app"
				if _, err := sigstore.NewKeyless(identity, sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: root}}); (err != nil) != tc.always {
					t.Errorf("with a source repository: want refused %t, got %v", tc.always, err)
				}
			}
			identity.AnySubject = true
			if _, err := sigstore.NewKeyless(identity, sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: root}}); err != nil {
				t.Errorf("with AnySubject: %v", err)
			}
		})
	}
}
