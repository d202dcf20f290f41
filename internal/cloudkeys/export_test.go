package cloudkeys

// What external tests see of the inside.

// ProviderOf names the provider that is asked about a host, "" for none. It asks
// none.
func ProviderOf(k *Keychain, host string) string {
	for _, p := range k.providers {
		if _, ours := p.Provider.Scope(host); ours {
			return p.Name
		}
	}
	return ""
}
