package cloudkeys_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/cloudkeys"
)

func all(t testing.TB) *cloudkeys.Keychain {
	t.Helper()
	k, err := cloudkeys.New(cloudkeys.Names(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestR6HostsOfProviders(t *testing.T) {
	t.Setenv("AZURE_ENVIRONMENT", "")
	cases := map[string]map[string]string{
		"Own": {
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com":       "aws",
			"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": "aws",
			"123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn":  "aws",
			"gcr.io":                       "gcp",
			"eu.gcr.io":                    "gcp",
			"europe-west3-docker.pkg.dev":  "gcp",
			"us-docker.pkg.dev":            "gcp",
			"myregistry.azurecr.io":        "azure",
			"myregistry-abc123.azurecr.io": "azure",
		},
		"LookAlikes": {
			"evil-azurecr.io": "", "azurecr.io": "", "x.azurecr.io.evil.com": "", "myregistry.azurecr.io.evil.com": "", "myregistry.azurecr.iox": "",
			"myregistry.azurecr.evil.io": "", "a.b.azurecr.io": "", "-myreg.azurecr.io": "", "myregistry.azurecr.io.": "", "MyRegistry.azurecr.io": "",
			"myregistry.azurecr.io:443": "", "myregistry.azurecr.io:8443": "", "myregistry.azurecr.io@evil.com": "", "evil.com/myregistry.azurecr.io": "",
			"myregistry.azurecr.io\n": "", "myregistryazurecr.io": "",
			"evilgcr.io": "", "gcr.io.evil.com": "", "a.b.gcr.io": "", "gcr.io:5000": "", "GCR.io": "", "gcr.io.": "", ".gcr.io": "", "x-gcr.io": "",
			"pkg.dev": "", "docker.pkg.dev": "", "evil.pkg.dev": "", "evil-docker.pkg.dev.evil.com": "", "-docker.pkg.dev": "", "a.us-docker.pkg.dev": "", "us-dockerxpkg.dev": "",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.com": "", "123456789012.dkr.ecr.evil.com": "", "12345.dkr.ecr.eu-central-1.amazonaws.com": "",
			"123456789012.dkr.ecr.evil.com#.eu-central-1.amazonaws.com": "", "123456789012.dkr.ecr.eu-central-1.amazonaws.com.cn": "",
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com": "", "x123456789012.dkr.ecr.eu-central-1.amazonaws.com": "", "a.123456789012.dkr.ecr.eu-central-1.amazonaws.com": "",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com:443": "", "123456789012xdkr.ecr.eu-central-1.amazonaws.com": "", "123456789012.dkr.ecr.EU-CENTRAL-1.amazonaws.com": "",
			"evil.s3.eu-central-1.amazonaws.com": "", "123456789012.dkr.ecr.eu-central-1.evilamazonaws.com": "",
		},
		"Anonymous": {"public.ecr.aws": "", "mcr.microsoft.com": "", "docker.io": "", "ghcr.io": "", "": "", "storage.googleapis.com": "", "www.google.com": ""},
		"OtherClouds": {
			"myregistry.azurecr.cn": "", "myregistry.azurecr.us": "", "myregistry.azurecr.de": "",
		},
	}
	k := all(t)
	for name, hosts := range cases {
		t.Run(name, func(t *testing.T) {
			for host, want := range hosts {
				if got := cloudkeys.ProviderOf(k, host); got != want {
					t.Errorf("%q: want provider %q, got %q", host, want, got)
				}
			}
		})
	}
}

func TestR6AzureCloudIsTheIdentitys(t *testing.T) {
	for environment, domain := range map[string]string{
		"": "io", "AzurePublicCloud": "io", "AzureChinaCloud": "cn", "AZUREUSGOVERNMENTCLOUD": "us",
	} {
		t.Run("Environment"+environment, func(t *testing.T) {
			t.Setenv("AZURE_ENVIRONMENT", environment)
			k := all(t)
			for _, d := range []string{"io", "cn", "us", "de"} {
				if got, want := cloudkeys.ProviderOf(k, "myregistry.azurecr."+d) == "azure", d == domain; got != want {
					t.Errorf("azurecr.%s: want asked %t, got %t", d, want, got)
				}
			}
		})
	}
}

// TestR6LookAlikesGetNothing goes through the reading of references, which
// lower-cases hosts and takes ports and dots off them.
func TestR6LookAlikesGetNothing(t *testing.T) {
	t.Setenv("AZURE_ENVIRONMENT", "")
	k := all(t)
	for _, text := range []string{"evil-azurecr.io/a/b", "x.azurecr.io.evil.com/a/b", "MYREGISTRY.AZURECR.IO.EVIL.COM/a/b", "myregistry.azurecr.io:8443/a/b", "gcr.io.evil.com./a/b", "evil.com/gcr.io/b"} {
		ref, err := imageref.Parse(text)
		if err != nil {
			continue // refused earlier
		}
		if found, err := k.Credentials(t.Context(), evidence.Puller{}, ref.Repository()); err != nil || found != nil {
			t.Errorf("%s: want nobody asked, got %d and %v", text, len(found), err)
		}
	}
}

// FuzzR6Hosts holds that a host with a provider ends, label by label, in a domain
// that is the provider's.
func FuzzR6Hosts(f *testing.F) {
	for _, seed := range []string{"gcr.io", "us-docker.pkg.dev", "myregistry.azurecr.io", "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "evil-azurecr.io", "gcr.io:1", "a.gcr.io\n"} {
		f.Add(seed)
	}
	k := all(f)
	whole := regexp.MustCompile(`\A[a-z0-9.-]+\z`)
	domains := map[string][]string{"aws": {".amazonaws.com", ".amazonaws.com.cn"}, "gcp": {".gcr.io", "-docker.pkg.dev"}, "azure": {".azurecr.io", ".azurecr.cn", ".azurecr.us"}}
	f.Fuzz(func(t *testing.T, host string) {
		provider := cloudkeys.ProviderOf(k, host)
		if provider == "" {
			return
		}
		own := false
		for _, domain := range domains[provider] {
			own = own || strings.HasSuffix("."+host, domain)
		}
		if !own || !whole.MatchString(host) {
			t.Errorf("%q is not of %s", host, provider)
		}
	})
}
