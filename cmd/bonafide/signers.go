package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// pluginVariable names the folder of Notation's verification plugins. Without
// it none runs, whatever a policy says.
const pluginVariable = "BONAFIDE_PLUGIN_DIR"

// pluginList is the operator's list in that folder, for trust policies whose
// language cannot name a plugin, and for what plugins are configured with.
const pluginList = "plugins.json"

// signers are what policies make their signers of, as the operator gives it.
// Without a client nothing is asked about revocation.
func signers(trustedRoot string, client *registry.Client) (policyset.Signers, error) {
	root, err := readTrustedRoot(trustedRoot)
	if err != nil {
		return policyset.Signers{}, err
	}
	s := policyset.NewSigners(root)
	s.Now = time.Now
	if client != nil {
		if s.Revocation, err = revocationBy(client); err != nil {
			return policyset.Signers{}, err
		}
	}
	s.PluginHost, s.Plugins, err = readPlugins()
	return s, err
}

// readPlugins returns the host of the operator's plugins, nil if there is none,
// and the operator's list.
func readPlugins() (*notation.PluginHost, []notation.Plugin, error) {
	folder := os.Getenv(pluginVariable)
	if folder == "" {
		return nil, nil, nil
	}
	host, err := notation.NewPluginHost(folder, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("$%s: %w", pluginVariable, err)
	}
	raw, err := dialect.ReadFile(filepath.Join(folder, pluginList))
	if errors.Is(err, fs.ErrNotExist) {
		return host, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("$%s: %w", pluginVariable, err)
	}
	list, err := notation.ParsePlugins(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("$%s: %s: %w", pluginVariable, pluginList, err)
	}
	return host, list, nil
}

// policyForms looks at policies when they are written: as far as they show what
// is wrong by themselves, and with nothing that the operator has given us.
func policyForms() (server.PolicyForms, error) {
	makers, err := policyset.FormSigners(time.Now)
	if err != nil {
		return nil, err
	}
	return native.New(makers, native.Options{ClusterAvailable: true, PublicGoodSnapshot: sigstore.PublicGoodSnapshot, Now: time.Now}), nil
}
