import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooKeeper;

/** What Curator 5 does by itself: persistent watches, groups, containers. It prints what it sees, a line each. */
class Clients {
    static CuratorFramework client(String servers) {
        CuratorFramework made = CuratorFrameworkFactory.newClient(servers, 4000, 4000, new RetryOneTime(100));
        made.start();
        return made;
    }

    static void await(Callable<Boolean> condition) throws Exception {
        for (int tries = 0; !condition.call(); tries++) {
            if (tries == 1000) {
                throw new IllegalStateException("waited too long");
            }
            Thread.sleep(10);
        }
    }

    static void members(GroupMember group, String... expected) throws Exception {
        await(() -> group.getCurrentMembers().keySet().equals(Set.of(expected)));
        System.out.println("members " + new TreeSet<>(group.getCurrentMembers().keySet()));
    }

    public static void main(String[] arguments) throws Exception {
        CuratorFramework one = client(arguments[0]);
        CuratorFramework two = client(arguments[0]);
        one.create().creatingParentContainersIfNeeded().forPath("/cache/a", "x".getBytes(StandardCharsets.UTF_8));

        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        CuratorCache cache = CuratorCache.build(one, "/cache");
        cache.listenable().addListener(CuratorCacheListener.builder()
            .forCreates(node -> heard.add("created " + node.getPath()))
            .forChanges((before, node) -> heard.add("changed " + node.getPath()))
            .forDeletes(node -> heard.add("deleted " + node.getPath()))
            .forInitialized(() -> heard.add("initialized"))
            .build());
        cache.start();
        while (!"initialized".equals(heard.poll(10, TimeUnit.SECONDS))) {
        }
        two.create().forPath("/cache/b");
        two.setData().forPath("/cache/a", new byte[0]);
        two.delete().forPath("/cache/b");
        for (int event = 0; event < 3; event++) {
            System.out.println(heard.poll(10, TimeUnit.SECONDS));
        }
        cache.close();

        GroupMember here = new GroupMember(one, "/group", "here");
        GroupMember there = new GroupMember(two, "/group", "there");
        here.start();
        there.start();
        members(here, "here", "there");
        there.close();
        members(here, "here");
        here.close();

        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        PersistentWatcher watcher = new PersistentWatcher(one, "/cache", true);
        watcher.getListenable().addListener(event -> events.add(event.getType() + " " + event.getPath()));
        watcher.getResetListenable().addListener(() -> events.add("set"));
        watcher.start();
        System.out.println(events.poll(10, TimeUnit.SECONDS));
        two.create().forPath("/cache/c");
        System.out.println(events.poll(10, TimeUnit.SECONDS));
        watcher.close();

        LeaderLatch latch = new LeaderLatch(one, "/latch", "one");
        latch.start();
        System.out.println("leads " + latch.await(10, TimeUnit.SECONDS));
        latch.close();

        ZooKeeper plain = one.getZookeeperClient().getZooKeeper();
        System.out.println(plain.whoAmI().size() + " " + plain.getEphemerals() + " "
            + plain.getAllChildrenNumber("/cache") + " "
            + plain.multi(Arrays.asList(Op.getChildren("/cache"), Op.getData("/cache/a"))).size());
        one.close();
        two.close();
        System.exit(0);
    }
}
