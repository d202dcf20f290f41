package cloudkeys

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/chrismellard/docker-credential-acr-env/pkg/credhelper"

	"github.com/bonafide-dev/bonafide/registry"
)

// azure gives refresh tokens of ACR for the identity that the environment names:
// a client secret, a federated token or the managed identity. The library sends
// an access token to the registry's host to get one, so that the host's cloud
// must be the one that the identity is of.
type azure struct {
	helper interface {
		Get(host string) (username, secret string, err error)
	}
	domain string // that registries' hosts end in
}

// azureDomains are the registries' domains by the value of $AZURE_ENVIRONMENT
// that the library reads.
func azureDomains() map[string]string {
	return map[string]string{
		"":                       ".azurecr.io",
		"AZURECLOUD":             ".azurecr.io",
		"AZUREPUBLICCLOUD":       ".azurecr.io",
		"AZURECHINACLOUD":        ".azurecr.cn",
		"AZUREUSGOVERNMENT":      ".azurecr.us",
		"AZUREUSGOVERNMENTCLOUD": ".azurecr.us",
	}
}

func newAzure() (azure, error) {
	environment := os.Getenv("AZURE_ENVIRONMENT")
	domain, known := azureDomains()[strings.ToUpper(environment)]
	if !known {
		return azure{}, fmt.Errorf("expected AZURE_ENVIRONMENT to name the public, the Chinese or the US government's cloud, got %q", environment)
	}
	return azure{helper: credhelper.NewACRCredentialsHelper(), domain: domain}, nil
}

// Scope implements [Provider].
func (a azure) Scope(host string) (string, bool) {
	name, ours := strings.CutSuffix(host, a.domain)
	return host, ours && azureName.MatchString(name)
}

// Credential implements [Provider]. The library takes no context, and gives up
// after 30 s.
func (a azure) Credential(_ context.Context, host string) (registry.Credential, error) {
	_, refresh, err := a.helper.Get(host)
	if err != nil {
		return registry.Credential{}, err
	}
	if refresh == "" {
		return registry.Credential{}, errNothing
	}
	return registry.Credential{IdentityToken: refresh}, nil
}
