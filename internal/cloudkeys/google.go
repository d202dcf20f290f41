package cloudkeys

import (
	"context"

	googleauth "golang.org/x/oauth2/google"

	"github.com/bonafide-dev/bonafide/registry"
)

const (
	// googleScope covers reading Artifact Registry and the storage behind gcr.io;
	// what the identity may do in truth is its roles' matter.
	googleScope = "https://www.googleapis.com/auth/cloud-platform"
	// googleUser goes with an access token as password (cloud.google.com,
	// "Configure authentication to Artifact Registry for Docker").
	googleUser = "oauth2accesstoken"
)

// google gives access tokens by Google's application default credentials: a file
// that the environment names, or the metadata service. The program gcloud is not
// run. One token serves all hosts.
type google struct{}

// Scope implements [Provider].
func (google) Scope(host string) (string, bool) { return "", isGoogle(host) }

// Credential implements [Provider].
func (google) Credential(ctx context.Context, _ string) (registry.Credential, error) {
	source, err := googleauth.DefaultTokenSource(ctx, googleScope)
	if err != nil {
		return registry.Credential{}, err
	}
	token, err := source.Token()
	if err != nil {
		return registry.Credential{}, err
	}
	if token.AccessToken == "" {
		return registry.Credential{}, errNothing
	}
	return registry.Credential{Username: googleUser, Password: token.AccessToken}, nil
}
