package notation

import (
	"os"
	"time"

	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"
)

// SetTimeout shortens what a hanging plugin costs a test.
func (h *PluginHost) SetTimeout(d time.Duration) { h.timeout = d }

// Load returns the copy of an executable that would run.
func (h *PluginHost) Load(p Plugin) (*os.File, error) {
	e, err := h.load(&p)
	if err != nil {
		return nil, err
	}
	return e.file, nil
}

// ReadPluginMetadata parses as a host does.
func ReadPluginMetadata(name string, data []byte) ([]framework.Capability, error) {
	m, err := readMetadata(name, data)
	return m.capabilities, err
}

// ReadPluginResponse parses as a host does, and returns what was said about
// each capability.
func ReadPluginResponse(data []byte, asked, has []framework.Capability) (map[framework.Capability]bool, error) {
	r, err := readResponse(data, asked, has)
	said := make(map[framework.Capability]bool)
	for c, v := range r.results {
		said[c] = v.success
	}
	return said, err
}
