package api_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// A password of SCRAM is set and taken, Kafka knows the user, and the log does not have the
// password.
func TestV3ScramUsers(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		user := testkit.Topic(t)
		path := "/scram-users/" + user
		s.call(t, "PUT", path, `{"mechanism":"SCRAM-SHA-512","password":"s3cr3t-of-a-test"}`).want(t, 204, "")
		has, err := s.admin.DescribeUserSCRAMs(t.Context(), user)
		if err != nil || len(has[user].CredInfos) != 1 || has[user].CredInfos[0].Iterations != 8192 {
			t.Errorf("Kafka has %v, %v", has, err)
		}
		s.call(t, "GET", "/scram-users", "").want(t, 200, `"user_name":"`+user+`","mechanisms":[{"mechanism":"SCRAM-SHA-512","iterations":8192}]`)
		s.call(t, "PUT", path, `{"mechanism":"PLAIN","password":"s3cr3t-of-a-test"}`).want(t, 400, "mechanism must be")
		for _, iterations := range []string{"0", "4095", "16385", "2147483647"} {
			s.call(t, "PUT", path, `{"mechanism":"SCRAM-SHA-512","password":"s3cr3t-of-a-test","iterations":`+iterations+`}`).want(t, 400, "iterations must be")
		}
		s.call(t, "PUT", path, `{"mechanism":"SCRAM-SHA-512"}`).want(t, 422, "password")
		s.call(t, "DELETE", path+"?mechanism=SCRAM-SHA-512", "").want(t, 204, "")
		if strings.Contains(s.call(t, "GET", "/scram-users", "").body, user) {
			t.Errorf("%s is still listed", user)
		}
		for range 10 { // each change is seen by the next request
			s.call(t, "PUT", path, `{"mechanism":"SCRAM-SHA-256","password":"s3cr3t-of-a-test"}`).want(t, 204, "")
			s.call(t, "GET", "/scram-users", "").want(t, 200, user)
			s.call(t, "DELETE", path+"?mechanism=SCRAM-SHA-256", "").want(t, 204, "")
			if strings.Contains(s.call(t, "GET", "/scram-users", "").body, user) {
				t.Errorf("%s is still listed", user)
			}
		}
		if strings.Contains(s.log.String(), "s3cr3t") {
			t.Error("the log has the password")
		}
	})
}

// The folders of a broker have the sizes of partitions.
func TestV3LogDirs(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic := s.filled(t)
		s.call(t, "GET", "/brokers/"+fmt.Sprint(s.broker)+"/log-dirs", "").want(t, 200, `"topic_name":"`+topic+`","partition_id":0,"size_bytes":`)
		s.call(t, "GET", "/brokers/77/log-dirs", "").want(t, 404, "Broker 77")
	})
}
