package policyset

import "github.com/fsnotify/fsnotify"

// notices are the file system's notifications, if it gives any: without them
// polling remains, so nothing here is an error.
type notices struct{ watcher *fsnotify.Watcher }

func newNotices() notices {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return notices{}
	}
	return notices{watcher: watcher}
}

// watch begins to watch directories, or begins again where they were replaced.
func (n notices) watch(directories []string) {
	if n.watcher == nil {
		return
	}
	for _, directory := range directories {
		_ = n.watcher.Add(directory) // one that cannot be watched is polled
	}
}

func (n notices) events() <-chan fsnotify.Event {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Events
}

func (n notices) errors() <-chan error {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Errors
}

func (n notices) close() {
	if n.watcher != nil {
		_ = n.watcher.Close() // nothing is left to lose
	}
}
