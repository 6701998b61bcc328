"""A recorded bag, played into the live node in a dry run: what would it do?

    ros2 launch magma_vla replay.launch.py bag:=/path/to/bag config_file:=/path/to/robot.yaml

The bag is the clock. What the bag recorded of commands and of an earlier node is played under /recorded/..., so that it
is neither taken for this node's output nor sent to a controller. For numbers that can be repeated to the bit, read the
bag without ROS 2: npx magma-vla replay BAG --config robot.yaml
"""

import os

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

SHARE = get_package_share_directory('magma_vla')

# Of the node itself: the live one speaks while the bag plays.
NODE = '/magma_vla/'
# Of every ROS process. Left out, not remapped: a remapping would take the player's own clock with it.
LEFT_OUT = ('/clock', '/rosout', '/diagnostics', '/parameter_events')


def topics_of(bag):
    """Names of a bag's topics by its metadata.yaml; empty for a bag that is a single file."""
    path = os.path.join(bag, 'metadata.yaml')
    if not os.path.isfile(path):
        return []
    with open(path, encoding='utf-8') as file:
        information = yaml.safe_load(file)['rosbag2_bagfile_information']
    return [entry['topic_metadata']['name'] for entry in information['topics_with_message_count']]


def commanded_topics(config):
    """Topics that a parsed robot.yaml sends commands on."""
    sections = [config.get('command'), (config.get('gripper') or {}).get('command')]
    return [section['topic'] for section in sections if section and 'topic' in section]


def recorded_remappings(config, topics):
    """What must not be heard under its own name: commands, and what an earlier node said."""
    names = [*commanded_topics(config), *(name for name in topics if name.startswith(NODE))]
    return [f'{name}:=/recorded{name}' for name in dict.fromkeys(names)]


def start(context):
    def argument(name):
        return LaunchConfiguration(name).perform(context)

    bag = os.path.abspath(argument('bag'))
    if not os.path.exists(bag):
        raise FileNotFoundError(f'bag: got {bag}, which is not there, expected a rosbag2 folder or .mcap file')
    with open(argument('config_file'), encoding='utf-8') as file:
        config = yaml.safe_load(file)
    command = ['ros2', 'bag', 'play', bag, '--clock', '250', '--rate', argument('rate')]
    command += ['--delay', argument('delay')]
    if argument('loop') == 'true':
        command.append('--loop')
    command += ['--exclude-topics', *LEFT_OUT]
    remappings = recorded_remappings(config, topics_of(bag))
    if remappings:
        command += ['--remap', *remappings]
    player = ExecuteProcess(cmd=command, name='bag', output='screen')
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(SHARE, 'launch', 'robot.launch.py')),
        launch_arguments={
            'config_file': argument('config_file'),
            'model': argument('model'),
            'provider': argument('provider'),
            'threads': argument('threads'),
            'statistics': argument('statistics'),
            'allow_mismatch': argument('allow_mismatch'),
            'shadow_model': argument('shadow_model'),
            'log_level': argument('log_level'),
            'viz': argument('viz'),
            'use_sim_time': 'true',
            'dry_run': 'true',
            'autostart': 'true',
        }.items(),
    )
    ended = RegisterEventHandler(
        OnProcessExit(target_action=player, on_exit=[EmitEvent(event=Shutdown(reason='the bag is over'))])
    )
    return [node, player, ended]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument('bag', description='rosbag2 folder, or one .mcap file'),
        DeclareLaunchArgument('config_file', description='robot.yaml of the robot that was recorded'),
        DeclareLaunchArgument('model', default_value=os.path.join(SHARE, 'models', 'nano'), description='model folder'),
        DeclareLaunchArgument('provider', default_value='auto', description='ONNX Runtime execution provider'),
        DeclareLaunchArgument('threads', default_value='1', description='within one operator of the model on the CPU'),
        DeclareLaunchArgument('statistics', default_value='', description="of the model's action statistics"),
        DeclareLaunchArgument(
            'allow_mismatch', default_value='false', choices=['true', 'false'], description='any model on any robot'
        ),
        DeclareLaunchArgument('shadow_model', default_value='', description='a second model to compare with'),
        DeclareLaunchArgument('rate', default_value='1.0', description='of bag time to real time'),
        DeclareLaunchArgument(
            'delay', default_value='5.0', description='s before the bag begins: the node opens its model meanwhile'
        ),
        DeclareLaunchArgument('loop', default_value='false', choices=['true', 'false'], description='play again'),
        DeclareLaunchArgument('log_level', default_value='info', description='of the node'),
        DeclareLaunchArgument('viz', default_value='none', choices=['none', 'rviz', 'foxglove'], description='viewer'),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
