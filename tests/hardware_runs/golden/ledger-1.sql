BEGIN TRANSACTION;
CREATE TABLE about (
	name VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "about" VALUES('format','1');
INSERT INTO "about" VALUES('id','39cbed3d82f63d0d');
CREATE TABLE budgets (
	id INTEGER NOT NULL, 
	account VARCHAR(40) NOT NULL, 
	unit VARCHAR(8) NOT NULL, 
	amount FLOAT NOT NULL, 
	start VARCHAR(40) NOT NULL, 
	until VARCHAR(40), 
	over INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "budgets" VALUES(1,'ibm','s',100.0,'2026-01-01T00:12:00.000000+00:00','3121-03-02T00:00:00.000000+00:00',0);
CREATE TABLE counts (
	job INTEGER NOT NULL, 
	"row" INTEGER NOT NULL, 
	found TEXT NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	PRIMARY KEY (job, "row"), 
	FOREIGN KEY(job) REFERENCES jobs (id)
);
INSERT INTO "counts" VALUES(1,0,'10:0','2026-01-01T00:22:00.000000+00:00');
INSERT INTO "counts" VALUES(1,1,'4:0 6:1','2026-01-01T00:23:00.000000+00:00');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at VARCHAR(40) NOT NULL, 
	"plan" VARCHAR(64), 
	job INTEGER, 
	kind VARCHAR(40) NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("plan") REFERENCES plans (id), 
	FOREIGN KEY(job) REFERENCES jobs (id)
);
INSERT INTO "events" VALUES(1,'2026-01-01T00:01:00.000000+00:00','aaaa',NULL,'planned','qmoe hardware plan');
INSERT INTO "events" VALUES(2,'2026-01-01T00:03:00.000000+00:00','aaaa',NULL,'compiled','');
INSERT INTO "events" VALUES(3,'2026-01-01T00:05:00.000000+00:00','aaaa',NULL,'predicted','');
INSERT INTO "events" VALUES(4,'2026-01-01T00:07:00.000000+00:00','aaaa',1,'planned','');
INSERT INTO "events" VALUES(5,'2026-01-01T00:09:00.000000+00:00','aaaa',2,'planned','');
INSERT INTO "events" VALUES(6,'2026-01-01T00:11:00.000000+00:00','aaaa',3,'planned','');
INSERT INTO "events" VALUES(7,'2026-01-01T00:13:00.000000+00:00',NULL,NULL,'budget','ibm 100.0 s until 3121-03-02T00:00:00.000000+00:00');
INSERT INTO "events" VALUES(8,'2026-01-01T00:16:00.000000+00:00','aaaa',1,'intent','host:1:1');
INSERT INTO "events" VALUES(9,'2026-01-01T00:19:00.000000+00:00','aaaa',2,'intent','host:1:1');
INSERT INTO "events" VALUES(10,'2026-01-01T00:21:00.000000+00:00','aaaa',1,'sent','id-1');
INSERT INTO "events" VALUES(11,'2026-01-01T00:25:00.000000+00:00','aaaa',1,'stored','{"rows": 2, "source": "device", "timings": {}}');
INSERT INTO "events" VALUES(12,'2026-01-01T00:27:00.000000+00:00','aaaa',1,'billed','{"money": null, "note": "billed", "seconds": [4.0, 4.0]}');
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	"plan" VARCHAR(64) NOT NULL, 
	"key" VARCHAR(60) NOT NULL, 
	tag VARCHAR(256) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	account VARCHAR(40), 
	due VARCHAR(40), 
	executions TEXT NOT NULL, 
	shots INTEGER NOT NULL, 
	ref TEXT, 
	source VARCHAR(40), 
	sender VARCHAR(200), 
	until VARCHAR(40), 
	since VARCHAR(40), 
	reserved VARCHAR(40), 
	reserve_money FLOAT, 
	reserve_seconds FLOAT, 
	reserve TEXT NOT NULL, 
	billed_money FLOAT, 
	billed_seconds FLOAT, 
	billed TEXT, 
	words TEXT NOT NULL, 
	updated VARCHAR(40) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("plan", "key"), 
	FOREIGN KEY("plan") REFERENCES plans (id), 
	UNIQUE (tag)
);
INSERT INTO "jobs" VALUES(1,'aaaa','r00-b00-p00','tag-0','done','ibm','2026-01-01T00:00:00.000000+00:00','4 7',10,'{"spec": "ibm:ibm_boston", "id": "id-1", "rows": 2, "shots": 10, "tag": "tag-0"}','device','host:1:1',NULL,'2026-01-01T00:14:00.000000+00:00','2026-01-01T00:14:00.000000+00:00',2.0,5.0,'{"money": [1.0, 2.0], "note": "a list", "seconds": [3.0, 5.0]}',NULL,4.0,'{"money": null, "note": "billed", "seconds": [4.0, 4.0]}','','2026-01-01T00:26:00.000000+00:00');
INSERT INTO "jobs" VALUES(2,'aaaa','r00-b01-p00','tag-1','uncertain','ibm','2026-01-01T00:00:00.000000+00:00','4 7',10,NULL,NULL,'host:1:1','2026-01-01T00:18:00.000000+00:00','2026-01-01T00:17:00.000000+00:00','2026-01-01T00:17:00.000000+00:00',2.0,5.0,'{"money": [1.0, 2.0], "note": "a list", "seconds": [3.0, 5.0]}',NULL,NULL,NULL,'','2026-01-01T00:18:00.000000+00:00');
INSERT INTO "jobs" VALUES(3,'aaaa','r00-b02-p00','tag-2','planned',NULL,'2026-01-01T00:00:00.000000+00:00','4 7',10,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"money": [1.0, 2.0], "note": "a list", "seconds": [3.0, 5.0]}',NULL,NULL,NULL,'','2026-01-01T00:10:00.000000+00:00');
CREATE TABLE plans (
	id VARCHAR(64) NOT NULL, 
	request VARCHAR(64) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	content TEXT NOT NULL, 
	command TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (request)
);
INSERT INTO "plans" VALUES('aaaa','asked','2026-01-01T00:00:00.000000+00:00','{"a": 1}','qmoe hardware plan');
CREATE TABLE predictions (
	id INTEGER NOT NULL, 
	"plan" VARCHAR(64) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("plan") REFERENCES plans (id)
);
INSERT INTO "predictions" VALUES(1,'aaaa','2026-01-01T00:04:00.000000+00:00','{"c": 3}');
CREATE TABLE schedules (
	"plan" VARCHAR(64) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY ("plan"), 
	FOREIGN KEY("plan") REFERENCES plans (id)
);
INSERT INTO "schedules" VALUES('aaaa','2026-01-01T00:02:00.000000+00:00','{"b": 2}');
CREATE INDEX ix_predictions_plan ON predictions ("plan");
CREATE INDEX jobs_by_state ON jobs ("plan", state);
CREATE INDEX jobs_by_account ON jobs (account, reserved);
CREATE INDEX ix_events_plan ON events ("plan");
CREATE INDEX ix_events_job ON events (job);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are only ever added to'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are only ever added to'); END;
CREATE TRIGGER predictions_no_update BEFORE UPDATE ON predictions BEGIN SELECT RAISE(ABORT, 'predictions are only ever added to'); END;
CREATE TRIGGER predictions_no_delete BEFORE DELETE ON predictions BEGIN SELECT RAISE(ABORT, 'predictions are only ever added to'); END;
CREATE TRIGGER counts_no_update BEFORE UPDATE ON counts BEGIN SELECT RAISE(ABORT, 'counts are only ever added to'); END;
CREATE TRIGGER counts_no_delete BEFORE DELETE ON counts BEGIN SELECT RAISE(ABORT, 'counts are only ever added to'); END;
CREATE TRIGGER schedules_no_update BEFORE UPDATE ON schedules BEGIN SELECT RAISE(ABORT, 'schedules are only ever added to'); END;
CREATE TRIGGER schedules_no_delete BEFORE DELETE ON schedules BEGIN SELECT RAISE(ABORT, 'schedules are only ever added to'); END;
COMMIT;
