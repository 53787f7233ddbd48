// A client of resumable feeds for the lastseen conformance suite; it shares nothing with lastseen.
//
// It finds its settings in the environment, prints lastseen.report/1, and follows the feed until
// standard input says stop.
package main

import (
	"bufio"
	"os"
	"strings"
)

// client is what both feeds have; all of it runs on the goroutine of main.
type client interface {
	start()
	tellState()
	close()
}

// events are what other goroutines want to be done on the goroutine of main.
var events = make(chan func(), 1024)

func main() {
	os.Stdout.WriteString(`{"schema":"lastseen.report/1","client":"go"}` + "\n")
	var client client = newOddsPapi()
	if os.Getenv("LASTSEEN_DIALECT") == "polynode" {
		client = newPolyNode()
	}
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			switch strings.TrimSpace(lines.Text()) {
			case "state":
				events <- client.tellState
			case "stop":
				events <- func() {
					client.close()
					os.Exit(0)
				}
			}
		}
	}()
	client.start()
	for event := range events {
		event()
	}
}
